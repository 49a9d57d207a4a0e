"""accelerate and restore: which modules of a model take an accelerated class, and why the others do not."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

from deepgen_fast.nn import layers
from deepgen_fast.nn.accelerate.classes import Accelerated, accelerated_class, restore_class
from deepgen_fast.nn.accelerate.modules import BEHAVIORS
from deepgen_fast.nn.blocks import Block
from deepgen_fast.nn.selection import forget_left

M = TypeVar("M", bound=nn.Module)


def check_module(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")


def accelerate(model: M) -> M:
    """Let the convolutions of a model run on this library's operators, in place. One line, in any model:

    ``Conv2d`` and ``ConvTranspose2d`` run :func:`conv2d` and :func:`conv_transpose2d`; where in an ``nn.Sequential``
    batch norm or an activation (ReLU, LeakyReLU, Tanh, Sigmoid) follows, one fused operator runs what belongs together.
    Parameters, buffers, ``state_dict`` keys, optimizers (built before or after), hooks, train and eval mode, ``repr``
    and ``isinstance`` stay as they are: a module takes a class that stands in for its own, and nothing else changes.
    What is fused is decided at each call, so that a hook added later fires, and layers may be called one by one,
    sliced, replaced, frozen or parametrized (spectral norm) at any time. Every numeric result is the plain model's up
    to rounding, its memory format the plain model's.

    Left as they are, :func:`explain` says which and why: layers with a forward of their own, grouped or dilated
    convolutions, padding other than zeros, lazy layers before their first batch, TorchScript and quantized modules.

    A pickle of the model (``torch.save(model, ...)``) holds the plain one, so that it loads where this library is not
    installed; accelerate again after loading. ``copy.deepcopy`` gives an accelerated copy. ``torch.export`` and
    ``torch.jit.trace`` record the plain layers; ``torch.jit.script`` restores the model it is given. While accelerated,
    ``type(layer) is nn.Conv2d`` is false, as it is of a parametrized layer; ``isinstance`` and the class's name hold.

    ``torch.ao.quantization`` and its fusion of layers know plain classes alone: :func:`restore` a model before
    quantizing or fusing it; its accelerated layers would stay in floating point, which a warning says.

    Args:
        model: any module; modules added to it later are left plain until ``accelerate`` is called again.

    Returns:
        ``model`` itself. Doing it twice is doing it once.

    Raises:
        TypeError: ``model`` is not a module.

    Example:
        >>> model = dgf.accelerate(nn.Sequential(nn.Conv2d(3, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.LeakyReLU(0.2)))
        >>> print(dgf.explain(model, torch.randn(16, 3, 64, 64)))
    """
    check_module(model)
    for module in _open_modules(model):
        if not isinstance(module, Accelerated) and unsupported_reason(module) is None:
            behavior = BEHAVIORS[layers.role(module) or ""]
            module.__class__ = accelerated_class(type(module), behavior, _injected(module))
    forget_left(model)
    return model


def restore(model: M) -> M:
    """Undo :func:`accelerate`, in place: every module of ``model`` has its own class again.

    Args:
        model: any module, accelerated or not, or a part of an accelerated model.

    Returns:
        ``model`` itself.

    Raises:
        TypeError: ``model`` is not a module.
    """
    check_module(model)
    for module in model.modules():
        if isinstance(module, Accelerated):
            restore_class(module)
    return model


def closed(module: nn.Module) -> str | None:
    """Why this module and all in it are left as they are, None where they are looked at."""
    if isinstance(module, torch.jit.ScriptModule):
        return "a TorchScript module"
    if isinstance(module, Block):
        return "a block of this library, which runs its fused operator by itself"
    return "quantized, or on the way to it" if type(module).__module__.startswith("torch.ao.") else None


def _open_modules(model: nn.Module) -> list[nn.Module]:
    """The modules of ``model`` but for those in closed ones; one that is in several places is met in any."""
    found: dict[nn.Module, None] = {}
    ahead = [model]
    while ahead:
        module = ahead.pop()
        if module not in found and closed(module) is None:
            found[module] = None
            ahead.extend(module.children())
    return list(found)


def unsupported_reason(module: Any) -> str | None:
    """Why ``accelerate`` leaves this module as it is, None when it does not."""
    reason = closed(module)
    if reason is not None:
        return reason
    cls = type(module)
    if isinstance(module, LazyModuleMixin):
        return "lazy: call accelerate again after the first batch"
    role = layers.role(module)
    if role not in BEHAVIORS:
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Sequential)):
            return f"{cls.__name__} has a forward of its own"
        return "not a layer that this library computes"
    if "forward" in module.__dict__ or "_conv_forward" in module.__dict__:
        return "a forward was set on the instance"
    if cls.__call__ is not nn.Module.__call__:
        return f"{cls.__name__} has a call of its own"
    if parametrize.is_parametrized(module) and not _injected(module):
        return "parametrized, and its class was changed again after that"
    return None if role is layers.SEQUENTIAL else layers.unsupported_reason(module)


def _injected(module: nn.Module) -> bool:
    """Whether the module's class was made for it by a parametrization: it holds the tensors' properties."""
    if not parametrize.is_parametrized(module):
        return False
    own = type(module).__dict__
    return all(isinstance(own.get(name), property) for name in module.parametrizations)  # type: ignore[union-attr]
