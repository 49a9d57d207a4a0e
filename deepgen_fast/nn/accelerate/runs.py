"""Runs of convolution, batch norm and activation in a Sequential, found at each call and computed by one operator each.

Found at each call, because until then anybody may add a hook, replace a layer, or freeze one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from deepgen_fast import ops
from deepgen_fast.nn.accelerate import layers, recording
from deepgen_fast.nn.accelerate.classes import Accelerated
from deepgen_fast.ops.autograd import transforming
from deepgen_fast.ops.memory_format import channels_last, in_format, result_channels_last


class Run(NamedTuple):
    """Layers that follow one another: a convolution, and what of batch norm and activation comes after it."""

    convolution: Any
    norm: Any = None
    activation: Any = None

    @property
    def length(self) -> int:
        return 1 + (self.norm is not None) + (self.activation is not None)


def run_at(sequence: Sequence[nn.Module], start: int) -> Run | None:
    """The run that starts at this layer, None when none does."""
    convolution: Any = sequence[start]
    # A convolution that is not accelerated was left out, or restored by itself.
    if not isinstance(convolution, Accelerated) or layers.role(convolution) not in layers.CONVOLUTIONS:
        return None
    if layers.changed(convolution) or layers.why_not(convolution):
        return None
    norm, activation, following = None, None, start + 1
    if following < len(sequence) and _joins(sequence[following], convolution):
        norm, following = sequence[following], following + 1
    if following < len(sequence):
        last = sequence[following]
        if layers.role(last) in layers.ACTIVATIONS and not layers.changed(last):
            activation = last
    return Run(convolution, norm, activation)


def _joins(norm: Any, convolution: Any) -> bool:
    return (
        layers.role(norm) is layers.BATCH_NORM
        and norm.num_features == convolution.out_channels
        and not layers.changed(norm)
    )


def run_layers(sequence: Sequence[nn.Module], value: Any) -> Any:
    """What calling the layers one after the other gives.

    Between runs that follow one another the images stay channels-last, whatever the plain layers would make of them;
    any other layer, and the caller, get the format that the plain layers would give.
    """
    start, ours = 0, False  # ours: the value is channels-last only between our runs
    run = run_at(sequence, 0) if sequence else None
    while start < len(sequence):
        if run is None or layers.why_not_here(run.convolution, value) is not None:
            value, ours = in_format(value, False) if ours else value, False
            value = sequence[start](value)
            start += 1
            run = run_at(sequence, start) if start < len(sequence) else None
            continue
        start += run.length
        following = run_at(sequence, start) if start < len(sequence) else None
        # The format of the plain layers' result.
        last = channels_last(run.convolution.weight) if ours else result_channels_last(value, run.convolution.weight)
        if following is not None and not transforming():  # vmap knows no memory formats
            value = in_format(value, True)
        value = compute(run, value)
        if ours and not last and following is None:
            value = in_format(value, False)
        ours = not last and following is not None
        run = following
    return value


def compute(run: Run, input: Tensor) -> Tensor:
    """The run's layers on ``input``, by one fused operator; channels-last where the input is."""
    convolution, norm, activation = run
    geometry: dict[str, Any] = {"stride": convolution.stride, "padding": layers.padding_of(convolution)}
    transposed = layers.role(convolution) is layers.TRANSPOSED_CONVOLUTION
    if transposed:
        geometry["output_padding"] = convolution.output_padding
    weight, bias = convolution.weight, convolution.bias
    if recording.active():
        recording.note(run, (transposed, input, weight, bias), geometry)
    if norm is None and activation is None:
        return (ops.conv_transpose2d if transposed else ops.conv2d)(input, weight, bias, **geometry)
    fused = ops.conv_transpose_bn_act if transposed else ops.conv_bn_act
    name = "none" if activation is None else layers.role(activation)
    slope = getattr(activation, "negative_slope", 0.0)
    if norm is None:
        return fused(
            input, weight, bias, training=False, normalize=False, activation=name, negative_slope=slope, **geometry
        )
    counted = norm.training and norm.track_running_stats and norm.num_batches_tracked is not None
    output = fused(
        input,
        weight,
        bias,
        running_mean=norm.running_mean if norm.track_running_stats or not norm.training else None,
        running_var=norm.running_var if norm.track_running_stats or not norm.training else None,
        bn_weight=norm.weight,
        bn_bias=norm.bias,
        training=norm.training or (norm.running_mean is None and norm.running_var is None),
        momentum=_momentum(norm, counted),
        eps=norm.eps,
        activation=name,
        negative_slope=slope,
        **geometry,
    )
    if counted:
        norm.num_batches_tracked.add_(1)
    return output


def _momentum(norm: Any, counted: bool) -> float:
    """Weight of this batch in the running statistics; without a momentum they are the average over all batches."""
    if norm.momentum is not None:
        return norm.momentum
    return 1.0 / (float(norm.num_batches_tracked) + 1.0) if counted else 0.0
