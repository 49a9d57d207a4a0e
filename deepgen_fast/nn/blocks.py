"""Blocks of generators and discriminators: ``nn.Sequential`` of the ordinary layers, with a fused forward."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from deepgen_fast.nn import layers
from deepgen_fast.nn.fused_groups import FusedGroup, compute, fused_group_at
from deepgen_fast.nn.selection import select
from deepgen_fast.ops.activation import ACTIVATIONS


def _activation(name: str | None, negative_slope: float) -> list[nn.Module]:
    """One layer, or none."""
    if name is None or name == "none":
        return []
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(map(repr, ACTIVATIONS))} or None, got {name!r}")
    # In place: what comes before is nobody else's, should the layers ever run one by one.
    if name == "leaky_relu":
        return [nn.LeakyReLU(negative_slope, inplace=True)]
    return [nn.ReLU(inplace=True) if name == "relu" else nn.Tanh() if name == "tanh" else nn.Sigmoid()]


class Block(nn.Sequential):
    """Convolution, batch norm, activation; the last two may be missing."""

    _role: str  # of the first layer

    def __init__(self, *inner: nn.Module, algorithm: str, backend: str) -> None:
        super().__init__(*inner)
        self.algorithm, self.backend = algorithm, backend

    def __getitem__(self, index: Any) -> Any:
        """A slice is an ordinary ``nn.Sequential``."""
        return nn.Sequential(*list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)

    def forward(self, input: Tensor) -> Tensor:
        """One fused operator; the layers one by one where :meth:`unsupported_reason` has a reason."""
        if self.unsupported_reason() is not None or layers.unsupported_input_reason(self[0], input) is not None:
            return super().forward(input)  # type: ignore[no-untyped-call]
        run = cast(FusedGroup, fused_group_at(list(self), 0))
        if self.algorithm == self.backend == "auto" and select(run, input).reason is not None:
            return super().forward(input)  # type: ignore[no-untyped-call]
        return compute(run, input, self.algorithm, self.backend)

    def unsupported_reason(self) -> str | None:
        """Why the layers are called one by one, so that nothing is skipped; None where the fused operator runs."""
        if layers.every_call_is_hooked():
            return "hooks on every module"
        if layers.recorded_elsewhere():
            return "the model is being recorded, or its operators watched"
        inner: list[Any] = list(self)
        for layer in inner:
            if (reason := layers.changed(layer)) is not None:
                return f"{type(layer).__name__} has {reason}"
        if not inner or layers.role(inner[0]) != self._role:
            return "the first layer was replaced"
        run = fused_group_at(inner, 0)
        if run is None:
            return layers.unsupported_reason(inner[0])
        return f"{type(inner[run.length]).__name__} was put into the block" if run.length < len(inner) else None


class GeneratorBlock(Block):
    """Transposed convolution, batch norm and activation: a layer of a DCGAN's generator, which doubles an image.

    Is ``nn.Sequential(nn.ConvTranspose2d(...), nn.BatchNorm2d(...), nn.ReLU())``, with their parameters,
    ``state_dict`` keys and initialization, and computes it by :func:`deepgen_fast.conv_transpose_bn_act`. Layers may be
    replaced, frozen and parametrized (spectral norm); where one has hooks, or is not what the fused operator
    computes, the layers run one by one (``unsupported_reason()`` says why).

    Args:
        in_channels, out_channels: of the images.
        kernel_size, stride, padding, output_padding: as for ``nn.ConvTranspose2d``; the defaults double the size.
        norm: whether there is a batch norm.
        bias: of the convolution; None: where there is no norm, which would take it away.
        activation: ``"relu"``, ``"leaky_relu"``, ``"tanh"``, ``"sigmoid"``, ``"none"`` or None.
        negative_slope: of a leaky ReLU; 0.2 as in DCGAN.
        eps, momentum, affine, track_running_stats: as for ``nn.BatchNorm2d``.
        algorithm, backend: as for :func:`deepgen_fast.conv_transpose2d`.

    Shapes: ``[batch, in_channels, height, width]`` -> ``[batch, out_channels, 2 * height, 2 * width]`` by default.

    Source: Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional generative
    adversarial networks", 2016.
    """

    _role = layers.TRANSPOSED_CONVOLUTION

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 4,
        stride: int | tuple[int, int] = 2,
        padding: int | tuple[int, int] = 1,
        output_padding: int | tuple[int, int] = 0,
        *,
        norm: bool = True,
        bias: bool | None = None,
        activation: str | None = "relu",
        negative_slope: float = 0.2,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        algorithm: str = "auto",
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        convolution = nn.ConvTranspose2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            bias=not norm if bias is None else bias,
            **place,
        )
        inner: list[nn.Module] = [convolution]
        if norm:
            inner.append(nn.BatchNorm2d(out_channels, eps, momentum, affine, track_running_stats, **place))
        inner.extend(_activation(activation, negative_slope))
        super().__init__(*inner, algorithm=algorithm, backend=backend)


class DiscriminatorBlock(Block):
    """Convolution, batch norm and leaky ReLU: a layer of a DCGAN's discriminator, which halves an image.

    Is ``nn.Sequential(nn.Conv2d(...), nn.BatchNorm2d(...), nn.LeakyReLU(0.2))``, with their parameters, ``state_dict``
    keys and initialization, and computes it by :func:`deepgen_fast.conv_bn_act`. Everything else is as for
    :class:`GeneratorBlock`.

    Shapes: ``[batch, in_channels, height, width]`` -> ``[batch, out_channels, height / 2, width / 2]`` by default.
    """

    _role = layers.CONVOLUTION

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 4,
        stride: int | tuple[int, int] = 2,
        padding: int | tuple[int, int] = 1,
        *,
        norm: bool = True,
        bias: bool | None = None,
        activation: str | None = "leaky_relu",
        negative_slope: float = 0.2,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        algorithm: str = "auto",
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        convolution = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, bias=not norm if bias is None else bias, **place
        )
        inner: list[nn.Module] = [convolution]
        if norm:
            inner.append(nn.BatchNorm2d(out_channels, eps, momentum, affine, track_running_stats, **place))
        inner.extend(_activation(activation, negative_slope))
        super().__init__(*inner, algorithm=algorithm, backend=backend)
