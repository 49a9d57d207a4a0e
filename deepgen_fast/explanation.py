"""``explain``: which backend and algorithm runs a model's layers or an operator, and why not another."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.lazy import LazyModuleMixin

from deepgen_fast import backends, ops
from deepgen_fast.nn import layers, recording
from deepgen_fast.nn.accelerate.classes import Accelerated
from deepgen_fast.nn.accelerate.interface import accelerate, closed, unsupported_reason
from deepgen_fast.nn.blocks import Block
from deepgen_fast.ops.checks import check_tensor
from deepgen_fast.ops.convolution.algorithm import CONV2D, CONV_TRANSPOSE2D, WEIGHT_GRADIENT
from deepgen_fast.ops.convolution.arguments import check_operands

_PLAIN = "PyTorch"


class Row(NamedTuple):
    """One layer, or layers that one operator runs."""

    name: str  # in the model, as in state_dict; of several "0, 1, 2"
    layer: str
    runs: str  # the operator, or "PyTorch" for what is left as it is
    backend: str
    forward: str  # the algorithm of this pass
    input_gradient: str
    weight_gradient: str
    reason: str


class Explanation(NamedTuple):
    """Rows in the order of the model; ``print(explanation)`` shows them as a table."""

    title: str
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """The row that has the layer of this name.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if name in row.name.split(", "):
                return row
        raise KeyError(name)

    def __str__(self) -> str:
        head = ("name", "layer", "runs", "backend", "forward", "d input", "d weight", "why")
        table: list[tuple[str, ...]] = [head, *self.rows]
        widths = [max(len(line[column]) for line in table) for column in range(len(head) - 1)]
        lines = [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=False)) + "  " + line[-1]
            for line in table
        ]
        return "\n".join([self.title, *(line.rstrip() for line in lines)])


def explain(model_or_op: nn.Module | Callable[..., Any], *example: Any, **options: Any) -> Explanation:
    """Which backend and algorithm runs each layer of a model, or an operator, and why not another.

    A model is run once on the example, without gradients; its parameters, buffers (running statistics), attributes and
    PyTorch's random numbers are as before afterwards, from copies that are held meanwhile. A model that is not
    accelerated is explained as :func:`accelerate` would make it, and stays plain.

    Args:
        model_or_op: a module, or an operator of this library (``dgf.conv2d``).
        example, options: what to call it with. Of a model they may be left out: the answer then says which layers are
            accelerated, not what they run, which depends on shapes.

    Returns:
        An :class:`Explanation`: printable, with ``rows`` to inspect. Rows name what runs as PyTorch's own layer, too,
        and the reason, among convolutions, batch norms of images, and activations that can be fused.

    Raises:
        TypeError: ``model_or_op`` is neither a module nor an operator of this library, or the example does not fit it.

    Example:
        >>> print(dgf.explain(generator, torch.randn(64, 100, 1, 1)))
    """
    if isinstance(model_or_op, nn.Module):
        return _explain_model(model_or_op, example, options)
    name = getattr(model_or_op, "__name__", None)
    if name not in ops.__all__ or getattr(ops, name) is not model_or_op:
        raise TypeError(
            f"model_or_op must be a torch.nn.Module or an operator of deepgen_fast, got {type(model_or_op).__name__}"
        )
    return _explain_operator(name, example, options)


# ---- a model ---------------------------------------------------------------------------------------------------------


class _Heard:
    """What ran, in the order of the calls; of a layer that ran twice, the first time."""

    def __init__(self) -> None:
        self.runs: dict[nn.Module, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {}
        self.reasons: dict[nn.Module, str] = {}

    def computed(self, run: Any, operands: tuple[Any, ...], geometry: dict[str, Any]) -> None:
        self.runs.setdefault(run.convolution, (run, operands, geometry))

    def left(self, layer: Any, reason: str) -> None:
        self.reasons.setdefault(layer, reason)


def _explain_model(model: nn.Module, example: tuple[Any, ...], options: dict[str, Any]) -> Explanation:
    heard = _Heard()
    lazy = any(isinstance(module, LazyModuleMixin) for module in model.modules())
    ran = bool(example or options) and not lazy
    with _accelerated_meanwhile(model) as was_plain:
        if ran:
            with _as_before(model), recording.listening(heard), torch.no_grad():
                model(*example, **options)
        rows = tuple(_rows(model, heard, ran))
    mode = "training" if model.training else "eval"
    title = f"{type(model).__name__}, {mode} mode"
    if was_plain:
        title += "; it is plain: this is what accelerate(model) would do"
    if lazy:
        title += "; not run: a lazy layer waits for its first batch"
    elif not ran:
        title += "; not run: give an example input to see backends and algorithms"
    return Explanation(title, rows)


@contextlib.contextmanager
def _accelerated_meanwhile(model: nn.Module) -> Iterator[bool]:
    """Accelerates a model of which nothing is accelerated, and puts back the very classes that there were."""
    before = [(module, type(module)) for module in model.modules()]
    plain = not any(issubclass(cls, Accelerated) for _, cls in before)
    if plain:
        accelerate(model)
    try:
        yield plain
    finally:
        if plain:
            for module, cls in before:
                module.__class__ = cls


@contextlib.contextmanager
def _as_before(model: nn.Module) -> Iterator[None]:
    """The model and random numbers are afterwards what they were."""
    tensors = [*model.parameters(), *model.buffers()]
    gpus = sorted({tensor.device.index or 0 for tensor in tensors if tensor.is_cuda})
    with torch.random.fork_rng(devices=gpus), _numbers_as_before(tensors), _attributes_as_before(model):
        yield


@contextlib.contextmanager
def _numbers_as_before(tensors: list[torch.Tensor]) -> Iterator[None]:
    """Of parameters, too: a spectral norm may hold its vectors as such."""
    kept = [(tensor, tensor.detach().clone()) for tensor in tensors]
    try:
        yield
    finally:
        for tensor, value in kept:
            # In place only where something was written, and past autograd: what was saved of it is still right.
            if not torch.equal(tensor, value):
                tensor.data.copy_(value)


@contextlib.contextmanager
def _attributes_as_before(model: nn.Module) -> Iterator[None]:
    """What a forward assigns to a module: counters, what it keeps for later, a buffer in place of another."""
    tables = [table for module in model.modules() for table in (vars(module), module._parameters, module._buffers)]
    kept = [(table, dict(table)) for table in tables]
    states = [
        (value, value.get_state()) for table in tables for value in table.values() if isinstance(value, torch.Generator)
    ]
    try:
        yield
    finally:
        for table, values in kept:
            table.clear()
            table.update(values)
        for generator, state in states:
            generator.set_state(state)


def _rows(model: nn.Module, heard: _Heard, ran: bool) -> Iterator[Row]:
    names: dict[nn.Module, list[str]] = {}
    parents: dict[nn.Module, nn.Module] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name or "(model)")
    for module in names:
        for child in module.children():
            parents.setdefault(child, module)
    fused = {part for run, _, _ in heard.runs.values() for part in run[1:] if part is not None}
    for module, own_names in names.items():
        if module in heard.runs:
            yield _run_row(names, *heard.runs[module])
        elif module not in fused:
            reason = _left_reason(module, parents.get(module), heard, ran)
            if reason is not None:
                runs = "accelerated" if reason == "" else _PLAIN
                yield Row(", ".join(own_names), _describe(module), runs, "", "", "", "", reason)


def _run_row(names: dict[nn.Module, list[str]], run: Any, operands: tuple[Any, ...], geometry: dict[str, Any]) -> Row:
    parts = [part for part in run if part is not None]
    transposed = operands[0]
    operator = "conv_transpose2d" if transposed else "conv2d"
    if len(parts) > 1:
        operator = "conv_transpose_bn_act" if transposed else "conv_bn_act"
    name = ", ".join(name for part in parts for name in names.get(part, ["(outside the model)"]))
    fused = len(parts) > 1 and (run.norm is None or not run.norm.training)  # else its statistics come first
    return _convolution_row(name, " + ".join(map(_describe, parts)), operator, operands, geometry, fused)


def _left_reason(module: Any, parent: Any, heard: _Heard, ran: bool) -> str | None:
    """Why PyTorch's layer runs; "" where this library's does (no example was given), None for what is no business."""
    unseen = "not called with this example" if ran else ""
    if isinstance(module, Block):
        return module.unsupported_reason()
    if isinstance(parent, Block) and parent.unsupported_reason() is None:
        return heard.reasons.get(module, unseen)
    if isinstance(module, (_ConvNd, nn.Sequential)):
        if not isinstance(module, Accelerated):
            inside = parent is not None and closed(parent)
            return inside or unsupported_reason(module) or "not accelerated: added, or restored, since"
        return None if isinstance(module, nn.Sequential) else heard.reasons.get(module, unseen)
    if not isinstance(module, _NormBase) and layers.role(module) not in layers.ACTIVATIONS:
        return None
    changed = layers.changed(module)
    if changed is not None:
        return f"has {changed}"
    if isinstance(module, _NormBase) and layers.role(module) is not layers.BATCH_NORM:
        return f"{type(module).__name__} is not a layer that this library computes"
    if not isinstance(parent, nn.Sequential):
        caller = "nobody" if parent is None else type(parent).__name__
        return f"called by {caller}, not by an nn.Sequential, so what comes before it is not known"
    if not isinstance(parent, Accelerated):
        return f"its {type(parent).__name__} is left as it is"
    return "not called right after a convolution that this library computes" if ran else ""


def _describe(layer: Any) -> str:
    if not isinstance(layer, _ConvNd):
        return type(layer).__name__
    # Somebody may have set an int in place of the constructor's pair.
    sizes, stride = (
        "x".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
        for value in (layer.kernel_size, layer.stride)
    )
    return f"{type(layer).__name__}({layer.in_channels}, {layer.out_channels}, {sizes}, stride {stride})"


# ---- operators -------------------------------------------------------------------------------------------------------


def _convolution_row(
    name: str, layer: str, operator: str, operands: tuple[Any, ...], options: dict[str, Any], fused: bool
) -> Row:
    """The three passes of a convolution, and the reason of the forward's algorithm; of others where they differ."""
    transposed, x, weight, bias = operands
    image, weight, _, output_padding, descriptor, _ = check_operands(
        transposed, x, weight, bias, options["stride"], options["padding"], options.get("output_padding", 0),
        options["algorithm"], options["backend"],
    )  # fmt: skip
    forward = CONV_TRANSPOSE2D if transposed else CONV2D
    input_gradient = CONV2D if transposed else CONV_TRANSPOSE2D
    first, second, third = (
        descriptor.pass_choice(kernel, transposed, image, weight, output_padding, fused and kernel == forward)
        for kernel in (forward, input_gradient, WEIGHT_GRADIENT)
    )
    reasons = [first.reason]
    for what, choice in (("input gradient", second), ("weight gradient", third)):
        if choice.algorithm != first.algorithm:
            reasons.append(f"{what}: {choice.reason}")
    algorithms = (first.algorithm, second.algorithm, third.algorithm)
    return Row(name, layer, operator, descriptor.backend, *algorithms, "; ".join(reasons))


def _explain_operator(name: str, example: tuple[Any, ...], options: dict[str, Any]) -> Explanation:
    bound = inspect.signature(getattr(ops, name)).bind(*example, **options)
    bound.apply_defaults()
    given = bound.arguments
    if name.startswith("conv"):
        x, weight, bias = given["x"], given["weight"], given["bias"]
        for tensor_name, value in (("x", x), ("weight", weight)):
            check_tensor(tensor_name, value)
        operands = ("transpose" in name, x, weight, bias)
        fused = name.endswith("_bn_act") and not (given["normalize"] and given["training"])
        row = _convolution_row("", f"weight {list(weight.shape)}", name, operands, given, fused)
        return Explanation(f"{name} on x {list(x.shape)}", (row,))
    first_name, first = next(iter(given.items()))
    check_tensor(first_name, first)
    asked, device = given["backend"], first.device
    chosen = backends.choose(asked, device)
    reason = f"backend={asked!r} was asked for" if asked != "auto" else f"the first available on {device.type}"
    preferred = backends.AUTO.get(device.type, ()) if asked == "auto" else ()
    missing = [f"{backend}: {why}" for backend in preferred if (why := backends.unavailable(backend)) is not None]
    return Explanation(name, (Row("", "", name, chosen, "", "", "", "; ".join([reason, *missing])),))
