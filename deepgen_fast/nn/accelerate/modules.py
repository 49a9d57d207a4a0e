"""The forward of a module that is accelerated: a convolution's and a Sequential's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from deepgen_fast.nn import layers, recording
from deepgen_fast.nn.accelerate.classes import Accelerated
from deepgen_fast.nn.fused_groups import FusedGroup, compute, fused_group_at
from deepgen_fast.nn.selection import Selection, left_before, remember_left, select, select_after
from deepgen_fast.ops.autograd import transforming
from deepgen_fast.ops.memory_format import channels_last, in_format, result_channels_last


def _plain_forward_has_it(layer: Any, input: Tensor, output_padding: tuple[int, int] | None = None) -> bool:
    if left_before(layer, input):
        return True
    reason = layers.unsupported_reason(layer) or layers.unsupported_input_reason(layer, input)
    if reason is None and layers.recorded_elsewhere():
        reason = "the model is being recorded, or its operators watched"
    if reason is None:
        return select(FusedGroup(layer), input, output_padding).reason is not None
    if recording.active():
        recording.note_left(layer, reason)
    return True


class AcceleratedConv2d(Accelerated):
    def forward(self, input: Tensor) -> Tensor:
        if _plain_forward_has_it(self, input):
            return super().forward(input)
        return compute(FusedGroup(self), input)


class AcceleratedConvTranspose2d(Accelerated):
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is None:
            return super().forward(input) if _plain_forward_has_it(self, input) else compute(FusedGroup(self), input)
        if layers.unsupported_reason(self) or layers.unsupported_input_reason(self, input):
            return super().forward(input, output_size)
        layer: Any = self
        height, width = layer._output_padding(
            input, output_size, layer.stride, layer.padding, layer.kernel_size, 2, layer.dilation
        )
        if not layers.is_pair((height, width)) or _plain_forward_has_it(self, input, (height, width)):
            return super().forward(input, output_size)
        return compute(FusedGroup(self), input, output_padding=(height, width))


class AcceleratedSequential(Accelerated):
    def forward(self, input: Any) -> Any:
        # A watcher of every call has them all come by; what is not a tensor is torch.fx's, or a layer's own matter.
        if not layers.is_plain(input) or layers.recorded_elsewhere() or layers.every_call_is_hooked():
            return super().forward(input)
        if left_before(self, input):
            return super().forward(input)
        output, fused = run_layers(flattened(self), input)
        if not fused:
            remember_left(self, input)
        return output


def flattened(sequential: Any) -> list[nn.Module]:
    """The layers in the order of their calls, those of inner Sequentials among them."""
    found: list[nn.Module] = []
    for layer in sequential._modules.values():
        if isinstance(layer, Accelerated) and layers.role(layer) is layers.SEQUENTIAL and not layers.changed(layer):
            found.extend(flattened(layer))
        else:
            found.append(layer)
    return found


def run_layers(sequence: Sequence[nn.Module], value: Any) -> tuple[Any, bool]:
    """What calling the layers one after the other gives, and whether a fused operator had a part in it.

    Between fused operators that both gain by it images stay channels-last, whatever the plain layers would make of
    them; any other layer, and the caller, get the format that the plain layers would give.
    """
    start, fused, ours = 0, False, False  # ours: the value is channels-last only between our operators
    run = _fused_group_at(sequence, 0, value)
    selection: Selection | None = None  # of this run, where the one before it has found out
    while start < len(sequence):
        if run is not None:
            selection = _selection(run, value, selection)
        if run is None or selection is None or selection.reason is not None:
            value, ours = in_format(value, False) if ours else value, False
            value = sequence[start](value) if selection is None else _plain_convolution(sequence[start], value)
            start, selection = start + 1, None
            run = _fused_group_at(sequence, start, value)
            continue
        start, fused = start + run.length, True
        following = _fused_group_at(sequence, start)
        # The format of the plain layers' result.
        weight, bias = run.convolution.weight, run.convolution.bias
        last = channels_last(weight) if ours else result_channels_last(value, weight)
        here, selection, stays = selection, None, False
        if following is not None and not transforming():  # vmap knows no memory formats
            selection = select_after(run, following, value, last)
            stays = _stays_channels_last(here, selection)
        if stays:
            value = in_format(value, True)
        value = compute(run, value, tensors=(weight, bias))
        if ours and not last and not stays:
            value = in_format(value, False)
        ours = stays and not last
        run = following
    return value, fused


def _selection(run: FusedGroup, value: Any, known: Selection | None) -> Selection | None:
    """None where the convolution's own call is to decide, and to say what is wrong."""
    if layers.unsupported_input_reason(run.convolution, value) is not None:
        return None
    return known or select(run, value)


def _stays_channels_last(here: Selection, following: Selection) -> bool:
    """Both operators take the format, and at least one needs it."""
    if following.reason is not None or False in (here.channels_last, following.channels_last):
        return False
    return bool(here.channels_last or following.channels_last)


def _plain_convolution(layer: Any, value: Tensor) -> Tensor:
    """A convolution without hooks that was selected for PyTorch: its own forward, without asking again."""
    return layers.PLAIN_FORWARDS[layers.role(layer)](layer, value)


def _fused_group_at(sequence: Sequence[nn.Module], start: int, value: Any = None) -> FusedGroup | None:
    """The run that starts here; a convolution that is not accelerated was left out, or restored by itself, and one that
    was left to PyTorch for such a ``value`` before is its own call's matter."""
    if start < len(sequence) and isinstance(sequence[start], Accelerated) and not left_before(sequence[start], value):
        return fused_group_at(sequence, start)
    return None


BEHAVIORS: dict[str, type[Accelerated]] = {
    layers.CONVOLUTION: AcceleratedConv2d,
    layers.TRANSPOSED_CONVOLUTION: AcceleratedConvTranspose2d,
    layers.SEQUENTIAL: AcceleratedSequential,
}
layers.ROLES.update({behavior.forward: role for role, behavior in BEHAVIORS.items()})
