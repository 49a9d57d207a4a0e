"""Blocks of generators and discriminators: ``nn.Sequential`` of the ordinary layers, with a fused forward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_internals

from deepgen_fast.ops.activation import ACTIVATIONS
from deepgen_fast.ops.conv_bn_act import conv_bn_act
from deepgen_fast.ops.conv_transpose_bn_act import conv_transpose_bn_act

# What a layer's class computes, told by the function that would run.
_ACTIVATIONS = {
    nn.ReLU.forward: "relu",
    nn.LeakyReLU.forward: "leaky_relu",
    nn.Tanh.forward: "tanh",
    nn.Sigmoid.forward: "sigmoid",
}


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


def _runs_alone(layer: Any) -> str | None:
    """Why calling this layer is more than its class's forward; None where that is all."""
    if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks:
        return f"{type(layer).__name__} has hooks"
    if (
        "forward" in layer.__dict__
        or "_conv_forward" in layer.__dict__
        or type(layer).__call__ is not nn.Module.__call__
    ):
        return f"{type(layer).__name__} has a forward or a call of its own"
    return f"{type(layer).__name__} is compiled by itself" if layer._compiled_call_impl is not None else None


class _Block(nn.Sequential):
    """Convolution, batch norm, activation; the last two may be missing."""

    _convolution: type[nn.Module]

    def __init__(self, *layers: nn.Module, algorithm: str, backend: str) -> None:
        super().__init__(*layers)
        self.algorithm, self.backend = algorithm, backend

    def __getitem__(self, index: Any) -> Any:
        """A slice is an ordinary ``nn.Sequential``."""
        return nn.Sequential(*list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)

    def forward(self, input: Tensor) -> Tensor:
        """One fused operator; the layers one by one where :meth:`why_plain` has a reason."""
        return super().forward(input) if self.why_plain() is not None else self._fused(input)

    def why_plain(self) -> str | None:
        """Why the layers are called one by one, so that nothing is skipped; None where the fused operator runs."""
        if module_internals._has_any_global_hook():
            return "hooks on every module"
        layers = list(self)
        reasons = [reason for layer in layers if (reason := _runs_alone(layer)) is not None]
        if reasons:
            return reasons[0]
        if not layers or type(layers[0]).forward is not self._convolution.forward:
            return "the first layer was replaced"
        return self._why_unknown(layers) or self._why_not_served(layers[0])

    def _why_unknown(self, layers: list[Any]) -> str | None:
        rest = layers[1:]
        if rest and isinstance(rest[0], nn.BatchNorm2d) and type(rest[0]).forward is nn.BatchNorm2d.forward:
            rest = rest[1:]
        if rest and type(rest[0]).forward in _ACTIVATIONS:
            rest = rest[1:]
        return f"{type(rest[0]).__name__} was put into the block" if rest else None

    @staticmethod
    def _why_not_served(convolution: Any) -> str | None:
        if convolution.groups != 1 or convolution.dilation != (1, 1):
            return f"groups={convolution.groups}, dilation={convolution.dilation}"
        if convolution.padding_mode != "zeros" or isinstance(convolution.padding, str):
            return f"padding={convolution.padding!r}, padding_mode={convolution.padding_mode!r}"
        if isinstance(convolution, nn.Conv2d) and type(convolution)._conv_forward is not nn.Conv2d._conv_forward:
            return f"{type(convolution).__name__} has a convolution of its own"
        return None

    def _fused(self, input: Tensor) -> Tensor:
        layers: list[Any] = list(self)
        convolution, norm = layers[0], next((layer for layer in layers if isinstance(layer, nn.BatchNorm2d)), None)
        name = _ACTIVATIONS.get(type(layers[-1]).forward)
        options: dict[str, Any] = {
            "stride": convolution.stride,
            "padding": convolution.padding,
            "activation": name,
            "negative_slope": getattr(layers[-1], "negative_slope", 0.0),
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

    _convolution = nn.ConvTranspose2d

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
        normalisation = (
            nn.BatchNorm2d(out_channels, eps, momentum, affine, track_running_stats, **place) if norm else None
        )
        layers = (convolution, normalisation, _activation(activation, negative_slope))
        super().__init__(*(layer for layer in layers if layer is not None), algorithm=algorithm, backend=backend)

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

    _convolution = nn.Conv2d

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
        normalisation = (
            nn.BatchNorm2d(out_channels, eps, momentum, affine, track_running_stats, **place) if norm else None
        )
        layers = (convolution, normalisation, _activation(activation, negative_slope))
        super().__init__(*(layer for layer in layers if layer is not None), algorithm=algorithm, backend=backend)

    def _operator(self, convolution: Any, input: Tensor, **options: Any) -> Tensor:
        return conv_bn_act(input, convolution.weight, convolution.bias, **options)
