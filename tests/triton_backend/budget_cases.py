"""The launches whose machine code is budgeted: what training in practice uses, and each path of the kernels once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepgen_fast.ops.batch_norm_act import triton as batch_norm
from deepgen_fast.ops.bernoulli_log_likelihood import triton as bernoulli
from deepgen_fast.ops.convolution import triton as convolution
from deepgen_fast.ops.gaussian_log_likelihood import triton as gaussian
from deepgen_fast.ops.minibatch_discrimination import triton as minibatch
from deepgen_fast.ops.negative_elbo import triton as elbo
from deepgen_fast.ops.reparameterize_kl import triton as posterior

F32, F64, BF16, U8, BOOL = torch.float32, torch.float64, torch.bfloat16, torch.uint8, torch.bool
LOGVAR, STD, PRE_SOFTPLUS = 0, 1, 2
BERNOULLI, GAUSSIAN = 0, 1
NONE, RELU, LEAKY_RELU, TANH = range(4)

CASES: dict[str, Callable[[], Any]] = {}
# Compiled in the default test run; the rest by `make triton-budget`.
QUICK = (
    "reparameterize_kl forward float32 4096x512",
    "bernoulli backward float32 128x784",
    "conv_transpose2d bfloat16, folded batch norm and relu 64x512x8x8 to 256",
)


def _meta(*shape: int, dtype: torch.dtype = F32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _posterior(name: str, rows: int, columns: int, dtype=F32, samples=None, kind=LOGVAR, prior=False, noise=False):
    mean, seed = _meta(rows, columns, dtype=dtype), _meta(dtype=torch.int64)
    wide = torch.float64 if dtype == F64 else F32
    z = mean if samples is None else _meta(samples, rows, columns, dtype=dtype)
    source = (z, None) if noise else (None, seed)
    arguments = (mean, mean, *((mean[0], mean) if prior else (None, None)), *source, samples, kind, False)
    CASES[f"reparameterize_kl forward {name} {rows}x{columns}"] = lambda: posterior.reparameterize_kl(*arguments)
    CASES[f"reparameterize_kl backward {name} {rows}x{columns}"] = lambda: posterior.reparameterize_kl_backward(
        z, _meta(rows, dtype=wide), *arguments, prior
    )


def _bernoulli(name: str, rows: int, columns: int, dtype=F32, target=F32, samples=None, mask=False):
    logits = _meta(*(() if samples is None else (samples,)), rows, columns, dtype=dtype)
    keep = _meta(rows, columns, dtype=BOOL) if mask else None
    arguments = (logits, _meta(rows, columns, dtype=target), keep, False)
    grad = _meta(*logits.shape[:-1], dtype=torch.float64 if dtype == F64 else F32)
    CASES[f"bernoulli forward {name} {rows}x{columns}"] = lambda: bernoulli.bernoulli_log_likelihood(*arguments)
    CASES[f"bernoulli backward {name} {rows}x{columns}"] = lambda: bernoulli.bernoulli_log_likelihood_backward(
        grad, *arguments, True, False
    )


def _gaussian(name: str, rows: int, columns: int, logvar: Tensor | None, dtype=F32):
    mean = _meta(rows, columns, dtype=dtype)
    arguments, learned = (mean, mean, logvar, None, False), logvar is not None
    CASES[f"gaussian forward {name} {rows}x{columns}"] = lambda: gaussian.gaussian_log_likelihood(*arguments)
    CASES[f"gaussian backward {name} {rows}x{columns}"] = lambda: gaussian.gaussian_log_likelihood_backward(
        _meta(rows), *arguments, True, False, learned
    )


def _elbo(name: str, rows: int, columns: int, latents: int, dtype=F32, target=F32, likelihood=BERNOULLI, free=0.0):
    output, mean = _meta(rows, columns, dtype=dtype), _meta(rows, latents, dtype=dtype)
    pixels = _meta(rows, columns, dtype=target)
    CASES[f"negative_elbo {name} {rows}x{columns}"] = lambda: elbo.negative_elbo(
        output, pixels, None, None, mean, mean, None, None, 1.0, free, likelihood, LOGVAR, True, True, None
    )


def _minibatch(name: str, batch: int, kernels: int, dims: int, dtype=F32):
    features = _meta(batch, kernels, dims, dtype=dtype)
    grad, what = _meta(batch, kernels, dtype=F64 if dtype == F64 else F32), f"{name} {batch}x{kernels}x{dims}"
    CASES[f"minibatch_discrimination {what}"] = lambda: minibatch.minibatch_discrimination(features, False)
    CASES[f"minibatch_discrimination_backward {what}"] = lambda: minibatch.minibatch_discrimination_backward(
        grad, features, False
    )


def _in_precision(precision: str, call: Callable[[], Any]) -> Callable[[], Any]:
    """The call with PyTorch's choice for float32 convolutions: "tf32", its default, or "ieee"."""

    def run() -> Any:
        conv = torch.backends.cudnn.conv
        before, conv.fp32_precision = conv.fp32_precision, precision
        try:
            return call()
        finally:
            conv.fp32_precision = before

    return run


def _images(batch: int, channels: int, size: int, dtype: torch.dtype) -> Tensor:
    return _meta(batch, channels, size, size, dtype=dtype)


def _layer(
    name: str, batch: int, small: int, size: int, large: int, dtype=F32, precision="tf32", geometry=(4, 2, 1, 0),
    activation=NONE, folded=False, statistics=True, passes=("conv_transpose2d", "conv2d", "weight_gradient"),
):  # fmt: skip
    """The passes of a layer between ``small`` channels at ``size`` and ``large`` channels at ``size * stride``."""
    kernel, stride, padding, output_padding = geometry
    weight, vector = _meta(small, large, kernel, kernel, dtype=dtype), _meta(max(small, large))
    images = _images(batch, small, size, dtype), _images(batch, large, size * stride, dtype)

    def epilogue(channels: int) -> tuple:
        return (vector[:channels],) * 2 if folded else (None, None)

    ending = (activation, 0.2, statistics and activation == NONE)
    calls = {
        "conv_transpose2d": lambda: convolution.conv_transpose2d(
            images[0], weight, *epilogue(large), stride, padding, output_padding, output_padding, *ending
        ),
        "conv2d": lambda: convolution.conv2d(images[1], weight, *epilogue(small), stride, padding, *ending),
        "weight_gradient": lambda: convolution.conv2d_weight_gradient(*images, kernel, stride, padding),
    }
    for which in passes:
        CASES[f"{which} {name} {batch}x{small}x{size}x{size} to {large}"] = _in_precision(precision, calls[which])


def _batch_norm(name: str, batch: int, channels: int, size: int, dtype=F32, activation=RELU, planar=False):
    image, vector = _images(batch, channels, size, dtype), _meta(channels)
    image = image if planar else image.contiguous(memory_format=torch.channels_last)
    operands = (image, vector, vector, vector, vector, activation, 0.2)
    what = f"{name} {batch}x{channels}x{size}x{size}"
    CASES[f"channel_statistics {what}"] = lambda: batch_norm.channel_statistics(image)
    CASES[f"batch_norm_act forward {what}"] = lambda: batch_norm.batch_norm_act(*operands)
    CASES[f"batch_norm_act backward {what}"] = lambda: batch_norm.batch_norm_act_backward(
        image, *operands, True, True, True
    )


_posterior("float32", 128, 32)
_posterior("float32", 4096, 512)
_posterior("float32", 64, 12288)
_posterior("float32 unaligned", 128, 33)
_posterior("float32 5 samples", 4096, 512, samples=5)
_posterior("float32 softplus, prior, given noise", 4096, 512, kind=PRE_SOFTPLUS, prior=True, noise=True)
_posterior("float32 std", 4096, 512, kind=STD)
_posterior("float32 beyond 31 bits", 2**20, 4096)
_posterior("bfloat16", 4096, 512, dtype=BF16)
_posterior("float64", 4096, 512, dtype=F64)
_bernoulli("float32", 128, 784)
_bernoulli("float32", 64, 12288)
_bernoulli("float32 mask", 512, 784, mask=True)
_bernoulli("float32 8 samples", 4096, 784, samples=8)
_bernoulli("bfloat16, uint8 target", 512, 784, dtype=BF16, target=U8)
_bernoulli("float32, bool target", 512, 784, target=BOOL)
_gaussian("float32", 512, 784, _meta(512, 784))
_gaussian("float32 unit variance", 512, 784, None)
_gaussian("float32 shared variance", 64, 12288, _meta())
_gaussian("bfloat16", 512, 784, _meta(512, 784, dtype=BF16), dtype=BF16)
_elbo("bernoulli float32", 128, 784, 32)
_elbo("bernoulli float32, free bits", 512, 784, 32, free=0.1)
_elbo("gaussian bfloat16", 512, 784, 32, dtype=BF16, target=BF16, likelihood=GAUSSIAN)
_minibatch("float32", 64, 100, 5)
_minibatch("float32", 256, 50, 16)
_minibatch("float32 several turns", 64, 20, 100)
_minibatch("bfloat16", 256, 50, 16, dtype=BF16)
_minibatch("float64", 256, 50, 16, dtype=F64)
_layer("float32", 64, 512, 8, 256)
_layer("float32 exact", 64, 512, 8, 256, precision="ieee")
_layer("bfloat16", 64, 512, 8, 256, dtype=BF16)
_FORWARDS = ("conv_transpose2d", "conv2d")
_layer(
    "bfloat16, folded batch norm and relu", 64, 512, 8, 256, dtype=BF16, activation=RELU, folded=True, passes=_FORWARDS
)
_layer("bfloat16 kernel 5", 64, 512, 8, 256, dtype=BF16, geometry=(5, 2, 2, 1), passes=_FORWARDS[:1])
_layer("bfloat16 kernel 3", 64, 512, 8, 256, dtype=BF16, geometry=(3, 2, 1, 1), passes=_FORWARDS[:1])
_layer("bfloat16 stride 1", 64, 256, 16, 256, dtype=BF16, geometry=(3, 1, 1, 0), passes=_FORWARDS[:1])
_layer("float32 few channels", 64, 128, 32, 3, activation=TANH)
_layer("float32 exact few channels", 64, 128, 32, 3, precision="ieee", activation=LEAKY_RELU)
_layer("bfloat16 few channels", 64, 128, 32, 3, dtype=BF16, activation=TANH)
_layer("float32 unaligned", 64, 101, 8, 203)
_layer("bfloat16 beyond 31 bits", 2**14, 256, 16, 128, dtype=BF16, statistics=False)
_batch_norm("float32", 64, 256, 16)
_batch_norm("float32 tanh", 64, 256, 16, activation=TANH)
_batch_norm("float32 planar", 64, 256, 16, planar=True)
_batch_norm("bfloat16", 64, 256, 16, dtype=BF16)
_batch_norm("float64", 64, 256, 16, dtype=F64)
_batch_norm("float32 unaligned", 64, 131, 16)
