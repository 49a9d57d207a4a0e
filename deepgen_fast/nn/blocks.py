"""Blocks of generators and discriminators: ``nn.Sequential`` of the ordinary layers, with a fused forward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deepgen_fast.nn.accelerate import layers
from deepgen_fast.ops.activation import ACTIVATIONS
from deepgen_fast.ops.conv_bn_act import conv_bn_act
from deepgen_fast.ops.conv_transpose_bn_act import conv_transpose_bn_act


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


class _Block(nn.Sequential):
    """Convolution, batch norm, activation; the last two may be missing."""

    _role: str  # of the first layer

    def __init__(self, *inner: nn.Module, algorithm: str, backend: str) -> None:
        super().__init__(*inner)
        self.algorithm, self.backend = algorithm, backend

    def __getitem__(self, index: Any) -> Any:
        """A slice is an ordinary ``nn.Sequential``."""
        return nn.Sequential(*list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)

    def forward(self, input: Tensor) -> Tensor:
        """One fused operator; the layers one by one where :meth:`why_plain` has a reason."""
        if self.why_plain() is not None or layers.why_not_here(self[0], input) is not None:
            return super().forward(input)
        return self._fused(input)

    def why_plain(self) -> str | None:
        """Why the layers are called one by one, so that nothing is skipped; None where the fused operator runs."""
        if layers.every_call_is_hooked():
            return "hooks on every module"
        if layers.recorded_elsewhere():
            return "the model is being recorded, or its operators watched"
        inner: list[Any] = list(self)
        for layer in inner:
            if (reason := layers.changed(layer)) is not None:
                return f"{type(layer).__name__}: {reason}"
        if not inner or layers.role(inner[0]) != self._role:
            return "the first layer was replaced"
        rest = inner[1:]
        if rest and layers.role(rest[0]) == layers.BATCH_NORM and rest[0].num_features == inner[0].out_channels:
            rest = rest[1:]
        if rest and layers.role(rest[0]) in layers.ACTIVATIONS:
            rest = rest[1:]
        return f"{type(rest[0]).__name__} was put into the block" if rest else layers.why_not(inner[0])

    def _fused(self, input: Tensor) -> Tensor:
        inner: list[Any] = list(self)
        convolution, last = inner[0], inner[-1]
        norm = inner[1] if len(inner) > 1 and layers.role(inner[1]) == layers.BATCH_NORM else None
        options: dict[str, Any] = {
            "stride": convolution.stride,
            "padding": layers.padding_of(convolution),
            "activation": layers.role(last) if layers.role(last) in layers.ACTIVATIONS else None,
            "negative_slope": getattr(last, "negative_slope", 0.0),
            "algorithm": self.algorithm,
            "backend": self.backend,
        }
        if norm is None:
            return self._operator(convolution, input, normalize=False, training=False, **options)
        batch = norm.training or (norm.running_mean is None and norm.running_var is None)
        tracked = not norm.training or norm.track_running_stats
        counted = norm.training and norm.track_running_stats and norm.num_batches_tracked is not None
        momentum = norm.momentum
        if momentum is None:  # the average of all batches
            momentum = 1.0 / (float(norm.num_batches_tracked) + 1.0) if counted else 0.0
        output = self._operator(
            convolution,
            input,
            running_mean=norm.running_mean if tracked else None,
            running_var=norm.running_var if tracked else None,
            bn_weight=norm.weight,
            bn_bias=norm.bias,
            training=batch,
            momentum=momentum,
            eps=norm.eps,
            **options,
        )
        if counted:
            norm.num_batches_tracked.add_(1)
        return output

    def _operator(self, convolution: Any, input: Tensor, **options: Any) -> Tensor:
        raise NotImplementedError


class GeneratorBlock(_Block):
    """Transposed convolution, batch norm and activation: a layer of a DCGAN's generator, which doubles an image.

    Is ``nn.Sequential(nn.ConvTranspose2d(...), nn.BatchNorm2d(...), nn.ReLU())``, with their parameters,
    ``state_dict`` keys and initialisation, and computes it by :func:`deepgen_fast.conv_transpose_bn_act`. Layers may be
    replaced, frozen and parametrized (spectral norm); where one has hooks, or is not what the fused operator computes,
    the layers run one by one (``why_plain()`` says why).

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

    def _operator(self, convolution: Any, input: Tensor, **options: Any) -> Tensor:
        options["output_padding"] = convolution.output_padding
        return conv_transpose_bn_act(input, convolution.weight, convolution.bias, **options)


class DiscriminatorBlock(_Block):
    """Convolution, batch norm and leaky ReLU: a layer of a DCGAN's discriminator, which halves an image.

    Is ``nn.Sequential(nn.Conv2d(...), nn.BatchNorm2d(...), nn.LeakyReLU(0.2))``, with their parameters, ``state_dict``
    keys and initialisation, and computes it by :func:`deepgen_fast.conv_bn_act`. Everything else is as for
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

    def _operator(self, convolution: Any, input: Tensor, **options: Any) -> Tensor:
        return conv_bn_act(input, convolution.weight, convolution.bias, **options)
