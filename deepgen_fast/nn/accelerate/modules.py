"""The forward of a module that is accelerated: a convolution's and a Sequential's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from deepgen_fast.nn import layers, recording
from deepgen_fast.nn.accelerate.classes import Accelerated
from deepgen_fast.nn.runs import Run, compute, run_at
from deepgen_fast.ops.autograd import transforming
from deepgen_fast.ops.memory_format import channels_last, in_format, result_channels_last


def _plain_forward_has_it(layer: Any, input: Tensor) -> bool:
    reason = layers.why_not(layer) or layers.why_not_here(layer, input)
    if reason is None and layers.recorded_elsewhere():
        reason = "the model is being recorded, or its operators watched"
    if reason is None and layers.too_small(layer, input):
        reason = layers.TOO_SMALL
    if reason is not None and recording.active():
        recording.note_left(layer, reason)
    return reason is not None


class AcceleratedConv2d(Accelerated):
    def forward(self, input: Tensor) -> Tensor:
        if _plain_forward_has_it(self, input):
            return super().forward(input)
        return compute(Run(self), input)


class AcceleratedConvTranspose2d(Accelerated):
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if _plain_forward_has_it(self, input):
            return super().forward(input, output_size)
        if output_size is None:
            return compute(Run(self), input)
        layer: Any = self
        height, width = layer._output_padding(
            input, output_size, layer.stride, layer.padding, layer.kernel_size, 2, layer.dilation
        )
        return compute(Run(self), input, output_padding=(height, width))


class AcceleratedSequential(Accelerated):
    def forward(self, input: Any) -> Any:
        # A watcher of every call has them all come by; what is not a tensor is torch.fx's, or a layer's own matter.
        if not layers.is_plain(input) or layers.recorded_elsewhere() or layers.every_call_is_hooked():
            return super().forward(input)
        return run_layers(flattened(self), input)


def flattened(sequential: Any) -> list[nn.Module]:
    """The layers in the order of their calls, those of inner Sequentials among them."""
    found: list[nn.Module] = []
    for layer in sequential._modules.values():
        if isinstance(layer, Accelerated) and layers.role(layer) is layers.SEQUENTIAL and not layers.changed(layer):
            found.extend(flattened(layer))
        else:
            found.append(layer)
    return found


def run_layers(sequence: Sequence[nn.Module], value: Any) -> Any:
    """What calling the layers one after the other gives.

    Between runs that follow one another the images stay channels-last, whatever the plain layers would make of them;
    any other layer, and the caller, get the format that the plain layers would give.
    """
    start, ours = 0, False  # ours: the value is channels-last only between our runs
    run = _run_at(sequence, 0)
    while start < len(sequence):
        if run is None or _left_plain(run.convolution, value):
            value, ours = in_format(value, False) if ours else value, False
            value = sequence[start](value)
            start += 1
            run = _run_at(sequence, start)
            continue
        start += run.length
        following = _run_at(sequence, start)
        # The format of the plain layers' result.
        weight, bias = run.convolution.weight, run.convolution.bias
        last = channels_last(weight) if ours else result_channels_last(value, weight)
        if following is not None and not transforming():  # vmap knows no memory formats
            value = in_format(value, True)
        value = compute(run, value, tensors=(weight, bias))
        if ours and not last and following is None:
            value = in_format(value, False)
        ours = not last and following is not None
        run = following
    return value


def _left_plain(convolution: Any, value: Any) -> bool:
    return layers.why_not_here(convolution, value) is not None or layers.too_small(convolution, value)


def _run_at(sequence: Sequence[nn.Module], start: int) -> Run | None:
    """The run that starts here; a convolution that is not accelerated was left out, or restored by itself."""
    if start < len(sequence) and isinstance(sequence[start], Accelerated):
        return run_at(sequence, start)
    return None


BEHAVIOURS: dict[str, type[Accelerated]] = {
    layers.CONVOLUTION: AcceleratedConv2d,
    layers.TRANSPOSED_CONVOLUTION: AcceleratedConvTranspose2d,
    layers.SEQUENTIAL: AcceleratedSequential,
}
layers.ROLES.update({behaviour.forward: role for role, behaviour in BEHAVIOURS.items()})
