"""The public function: checks, choice of algorithm, autograd."""

from __future__ import annotations

from torch import Tensor

from deepgen_fast.ops.convolution.convolve import convolution


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | tuple[int, int] = 2,
    padding: int | tuple[int, int] = 1,
    algorithm: str = "auto",
    backend: str = "auto",
) -> Tensor:
    """Strided convolution, the downsampling layer of discriminators and encoders, in fewer multiplications.

    Replaces ``F.conv2d(x, weight, bias, stride, padding)``. Where the geometry is one of (kernel, stride, padding)
    (4, 2, 1), (3, 2, 1), (5, 2, 2) and (3, 1, 1), and the layer is large enough, Winograd filtering computes forward
    and both gradients in 1.8 to 4 times fewer multiplications; everything else runs PyTorch's operator, with its
    results. ``dgf.explain`` says which, and why. Differentiable to any order.

    Args:
        x: ``[batch, in_channels, height, width]``, or without the batch.
        weight: ``[out_channels, in_channels, kernel_height, kernel_width]``, of x's dtype.
        bias: ``[out_channels]``, or None.
        stride, padding: an int, or a pair for height and width. The defaults are those of a DCGAN's layer of kernel 4,
            which halves the image.
        algorithm: ``"auto"``: the cost model chooses, by shapes, dtype and kind of device, and on a GPU by
            whether PyTorch may use TF32; ``"direct"``: PyTorch's operator (relative error about 3e-7 in float32);
            ``"winograd"``: Winograd filtering (at most 3e-6); ``"gemm"``: one matrix product,
            for an input of the kernel's size without padding, or few channels.
        backend: ``"auto"``, ``"reference"``, ``"cpu"``, ``"cuda"`` or ``"triton"``.

    Under autocast the operands are cast to its dtype, as for PyTorch's convolutions.

    NaN, infinity and range: by Winograd filtering the outputs whose window holds a NaN or an infinity are not finite,
    and so may be their neighbors of the same tile (``4 * stride`` pixels of the larger image along an axis); other
    tiles and images are untouched, bitwise. Its sums of inputs may overflow where the outputs are finite (inputs near
    1e37), and its error is relative to the largest numbers of a tile: beside one large pixel small ones lose their
    digits. ``algorithm="direct"`` is PyTorch's operator in all of this.

    Returns:
        ``[batch, out_channels, (height + 2 * padding - kernel_height) // stride + 1, ...]``, of x's dtype;
        channels_last where x or weight is, else contiguous.

    Raises:
        TypeError: an argument is not a tensor or not an int, or dtypes differ.
        ValueError: shapes or devices do not fit, an unknown algorithm or backend, or an explicit algorithm that does
            not serve these operands.
        RuntimeError: the backend asked for cannot run here; says why.

    Source: Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast algorithms for convolutional
    neural networks", 2016.

    Example:
        >>> conv2d(torch.zeros(8, 32, 32, 32), torch.zeros(64, 32, 4, 4)).shape
        torch.Size([8, 64, 16, 16])
    """
    return convolution(False, x, weight, bias, stride, padding, 0, algorithm, backend)
