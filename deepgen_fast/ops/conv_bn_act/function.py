"""The public function: checks, then the fused layer."""

from __future__ import annotations

from torch import Tensor

from deepgen_fast.ops.batch_norm_act.function import Norm
from deepgen_fast.ops.checks import check_flag
from deepgen_fast.ops.convolution.arguments import check_activation, check_operands
from deepgen_fast.ops.convolution.normalized import check_norm, conv_act, conv_norm_act, recorded_layer
from deepgen_fast.ops.memory_format import owned
from deepgen_fast.tracing import symbolic


def conv_bn_act(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    bn_weight: Tensor | None = None,
    bn_bias: Tensor | None = None,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    normalize: bool = True,
    activation: str | None = "leaky_relu",
    negative_slope: float = 0.2,
    stride: int | tuple[int, int] = 2,
    padding: int | tuple[int, int] = 1,
    algorithm: str = "auto",
    backend: str = "auto",
) -> Tensor:
    """Convolution, batch normalization and activation: one layer of a DCGAN's discriminator.

    Replaces::

        y = F.conv2d(x, weight, bias, stride, padding)
        y = F.batch_norm(y, running_mean, running_var, bn_weight, bn_bias, training, momentum, eps)
        y = activation(y)

    In training the batch's statistics are taken while the convolution writes its output, and one more pass normalizes
    and activates; backward of both takes two passes. In evaluation everything happens while the output is written, but
    where gradients are needed: then normalization and activation are one pass. Differentiable to any order.

    Args:
        x: ``[batch, in_channels, height, width]``.
        weight: ``[out_channels, in_channels, kernel_height, kernel_width]``, of x's dtype.
        bias: ``[out_channels]``, or None; needless before a normalization.
        running_mean, running_var: ``[out_channels]``. In training moved in place by ``momentum``, the variance
            unbiased; in evaluation what normalizes.
        bn_weight, bn_bias: ``[out_channels]``, the affine map after normalization, or None.
        training: normalize by the batch's own statistics; without effect where ``normalize`` is False.
        momentum: share of the new batch in the running statistics.
        eps: added to the variance; positive in training, at least 0 in evaluation.
        normalize: False leaves batch normalization out (a DCGAN's first and last layers).
        activation: ``"none"`` or None, ``"relu"``, ``"leaky_relu"``, ``"tanh"`` or ``"sigmoid"``.
        negative_slope: of a leaky ReLU; 0.2 as in DCGAN.
        stride, padding, algorithm, backend: as for ``conv2d``.

    Statistics are taken in float64 whatever the inputs, so they lose nothing on large batches.

    Returns:
        What ``conv2d`` returns, normalized and activated.

    Raises:
        TypeError, ValueError, RuntimeError: as for ``conv2d``.
        ValueError: also a training batch of one value a channel, evaluation without running statistics, one of them
            without the other, and an eps outside its bounds.

    Source: Ioffe and Szegedy, "Batch normalization", 2015; Radford, Metz, Chintala, 2016. The module is
    ``dgf.nn.DiscriminatorBlock``.
    """
    if symbolic(x, weight, bias, running_mean, running_var, bn_weight, bn_bias):
        norm = Norm(running_mean, running_var, bn_weight, bn_bias, momentum, eps) if normalize else None
        sizes, code = (stride, padding, 0), check_activation(activation, negative_slope)
        # Of an image without a batch, which nobody can see here, batch norm would take rows for channels.
        batch = x if norm is None else x.flatten(0, -4)
        return recorded_layer(False, batch, weight, bias, sizes, norm, training, code, negative_slope)
    operands = check_operands(False, x, weight, bias, stride, padding, 0, algorithm, backend)
    code = check_activation(activation, negative_slope)
    check_flag("normalize", normalize)
    if normalize:
        norm = Norm(running_mean, running_var, bn_weight, bn_bias, momentum, eps)
        check_norm(operands, False, norm, training)
        output = conv_norm_act(operands, False, norm, training, code, negative_slope)
    else:
        output = conv_act(operands, False, code, negative_slope)
    return output if x.dim() == 4 else owned(output.squeeze(0))
