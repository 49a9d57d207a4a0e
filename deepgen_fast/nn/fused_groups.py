"""Runs of convolution, batch norm and activation: found among layers at each call, computed by one operator.

Found at each call, because until then anybody may add a hook, replace a layer, or freeze one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from deepgen_fast import ops
from deepgen_fast.nn import batch_norm, layers, recording
from deepgen_fast.nn.synchronized import Synchronized


class FusedGroup(NamedTuple):
    """Layers that follow one another: a convolution, and what of batch norm and activation comes after it."""

    convolution: Any
    norm: Any = None
    activation: Any = None

    @property
    def length(self) -> int:
        return 1 + (self.norm is not None) + (self.activation is not None)


def fused_group_at(sequence: Sequence[nn.Module], start: int) -> FusedGroup | None:
    """The run that starts at this layer, None when none does."""
    convolution: Any = sequence[start]
    if layers.role(convolution) not in layers.CONVOLUTIONS:
        return None
    if layers.changed(convolution) or layers.unsupported_reason(convolution):
        return None
    norm, activation, following = None, None, start + 1
    if following < len(sequence) and _joins(sequence[following], convolution):
        norm, following = sequence[following], following + 1
    if following < len(sequence):
        last = sequence[following]
        if layers.role(last) in layers.ACTIVATIONS and not layers.changed(last):
            activation = last
    return FusedGroup(convolution, norm, activation)


def _joins(norm: Any, convolution: Any) -> bool:
    return (
        layers.role(norm) is layers.BATCH_NORM
        and norm.num_features == convolution.out_channels
        and not layers.changed(norm)
    )


def compute(
    run: FusedGroup,
    input: Tensor,
    algorithm: str = "auto",
    backend: str = "auto",
    output_padding: tuple[int, int] | None = None,
    tensors: tuple[Tensor, Tensor | None] | None = None,
) -> Tensor:
    """The run's layers on ``input``, by one fused operator; channels-last where the input is.

    ``output_padding`` is that of a transposed convolution where one call has another than the layer; ``tensors`` are
    the convolution's weight and bias where the caller has read them, see ``layers.unsupported_input_reason``.
    """
    convolution, norm, activation = run
    options: dict[str, Any] = {
        "stride": convolution.stride,
        "padding": layers.padding_of(convolution),
        "algorithm": algorithm,
        "backend": backend,
    }
    transposed = layers.role(convolution) is layers.TRANSPOSED_CONVOLUTION
    if transposed:
        options["output_padding"] = convolution.output_padding if output_padding is None else output_padding
    weight, bias = (convolution.weight, convolution.bias) if tensors is None else tensors
    if recording.active():
        recording.note(run, (transposed, input, weight, bias), options)
    plain = ops.conv_transpose2d if transposed else ops.conv2d
    if norm is None and activation is None:
        return plain(input, weight, bias, **options)
    fused = ops.conv_transpose_bn_act if transposed else ops.conv_bn_act
    name = "none" if activation is None else layers.role(activation)
    slope = getattr(activation, "negative_slope", 0.0)
    if isinstance(norm, Synchronized) and norm.synchronizes():
        return norm.normalize(plain(input, weight, bias, **options), name or "none", slope)
    if norm is None:
        return fused(
            input, weight, bias, training=False, normalize=False, activation=name, negative_slope=slope, **options
        )
    running = batch_norm.running(norm)
    output = fused(
        input,
        weight,
        bias,
        running_mean=running.mean,
        running_var=running.variance,
        bn_weight=norm.weight,
        bn_bias=norm.bias,
        training=batch_norm.uses_batch(norm),
        momentum=running.momentum,
        eps=norm.eps,
        activation=name,
        negative_slope=slope,
        **options,
    )
    if running.counted:
        norm.num_batches_tracked.add_(1)
    return output
