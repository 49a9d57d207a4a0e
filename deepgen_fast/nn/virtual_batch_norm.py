"""Virtual batch normalization: each example is normalized beside a reference batch that is chosen once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepgen_fast.ops.rows import accumulation_dtype


class VirtualBatchNorm(nn.Module):
    """What the two classes below have in common.

    Of a batch whose first rows are the reference, each of these is normalized by the reference's own mean and variance,
    and each other row by those of the reference and itself together, every example counting alike (Salimans et al.
    2016, section 3.5). So an example's output depends on nothing but itself and the reference, in training and at rest:
    there are no running statistics. :class:`ReferenceBatch` puts the reference before every batch; a layer by itself
    has none and raises. Statistics, and their gradient, are taken in float32 whatever the input.

    Args:
        num_features: channels.
        eps: added to variances.
        affine: whether channels are scaled and shifted afterwards, by learned numbers.
    """

    _dimensions: tuple[int, ...]
    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        if num_features < 1:
            raise ValueError(f"num_features: expected at least 1, got {num_features}")
        self.num_features, self.eps = num_features, eps
        self.num_reference = 0
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, affine={self.weight is not None}"

    def forward(self, input: Tensor) -> Tensor:
        """Of the input's shape and dtype; the first ``num_reference`` rows are the reference.

        Raises:
            RuntimeError: there is no reference.
            ValueError: for an input of other dimensions or channels, or smaller than the reference.
        """
        count = self.num_reference
        if count == 0:
            raise RuntimeError("a virtual batch norm has no reference batch: put the network into a ReferenceBatch")
        if input.dim() not in self._dimensions or input.shape[1] != self.num_features or len(input) < count:
            raise ValueError(
                f"input: expected [{count} or more, {self.num_features}, ...] of {self._dimensions[-1]} dimensions, "
                f"got {list(input.shape)}"
            )
        wide = input.to(accumulation_dtype(input.dtype))
        space = tuple(range(2, input.dim()))
        reference, others = wide[:count], wide[count:]
        variance, mean = torch.var_mean(reference, (0, *space), correction=0, keepdim=True)
        own_mean = others.mean(space, keepdim=True) if space else others
        own_variance = (others - own_mean).square().mean(space, keepdim=True) if space else torch.zeros_like(others)
        # Of count examples with these moments and one with its own: no difference of large numbers.
        joint = mean + (own_mean - mean) / (count + 1)
        spread = count * (variance + (mean - joint).square()) + own_variance + (own_mean - joint).square()
        parts = (
            (reference - mean) * torch.rsqrt(variance + self.eps),
            (others - joint) * torch.rsqrt(spread / (count + 1) + self.eps),
        )
        output = torch.cat(parts)
        if self.weight is not None and self.bias is not None:
            channels = (1, -1, *(1,) * len(space))
            output = torch.addcmul(self.bias.view(channels), output, self.weight.view(channels))
        return output.to(input.dtype)


class VirtualBatchNorm1d(VirtualBatchNorm):
    """:class:`VirtualBatchNorm` of ``[batch, features]`` or ``[batch, features, length]``."""

    _dimensions = (3, 2)


class VirtualBatchNorm2d(VirtualBatchNorm):
    """:class:`VirtualBatchNorm` of ``[batch, channels, height, width]``."""

    _dimensions = (4,)


class ReferenceBatch(nn.Module):
    """Runs a network on a reference batch and the examples together, and gives what it makes of the examples.

    The reference is a buffer, so checkpoints have it; it is fixed by :meth:`set` once, before training.

    Args:
        network: in which virtual batch norms normalize beside the reference.
        shape: of the reference, ``(examples, *event)``.

    Raises:
        ValueError: a reference of fewer than 2 examples, which have no variance.
    """

    reference: Tensor

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        if shape[0] < 2:
            raise ValueError(f"reference_size: expected at least 2, got {shape[0]}")
        self.network = network
        self.register_buffer("reference", torch.full(shape, torch.nan))
        self._known = False
        for module in network.modules():
            if isinstance(module, VirtualBatchNorm):
                module.num_reference = shape[0]

    @torch.no_grad()
    def set(self, reference: Tensor) -> None:
        """Fix the reference, of the buffer's shape.

        Raises:
            ValueError: for another shape.
        """
        if reference.shape != self.reference.shape:
            expected = list(self.reference.shape)
            raise ValueError(f"reference: expected {expected}, a batch to normalize by, got {list(reference.shape)}")
        self.reference.copy_(reference)

    def forward(self, input: Tensor) -> Any:
        """The network's output for ``input [batch, *event]`` alone.

        Raises:
            RuntimeError: the reference was not set.
        """
        if not self._known:
            if self.reference.isnan().any():
                raise RuntimeError("the reference batch is not set: call set(examples) before the first batch")
            self._known = True
        return self.network(torch.cat([self.reference.to(input.dtype), input]))[len(self.reference) :]
