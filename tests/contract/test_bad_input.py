"""Contract 8, bad input: an error that names the argument, what was expected and what came; never a crash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import deepgen_fast as dgf

X = torch.rand(4, 6)  # [batch, event]
Z = torch.rand(4, 3)

IMAGE = torch.rand(2, 3, 8, 8)
WEIGHT = torch.rand(3, 3, 4, 4)
ONES = torch.ones(3)

Call = Callable[[], Any]
kl, bernoulli, gaussian, loss = (
    dgf.reparameterize_kl,
    dgf.bernoulli_log_likelihood,
    dgf.gaussian_log_likelihood,
    dgf.negative_elbo,
)
minibatch = dgf.minibatch_discrimination
conv, deconv, conv_bn, deconv_bn = dgf.conv2d, dgf.conv_transpose2d, dgf.conv_bn_act, dgf.conv_transpose_bn_act

SPARSE = torch.eye(4, 6).to_sparse()
NESTED = torch.nested.nested_tensor([torch.rand(2, 3), torch.rand(3, 3)], layout=torch.jagged)
NESTED_IMAGES = torch.nested.nested_tensor([IMAGE[0], IMAGE[1]])

TYPE_ERRORS: dict[str, tuple[Call, str]] = {
    "sparse logits": (lambda: bernoulli(SPARSE, X), r"logits must be a dense tensor.*sparse_coo; logits.to_dense\(\)"),
    "sparse target": (lambda: gaussian(X, SPARSE), r"target must be a dense tensor.*sparse_coo"),
    "sparse mask": (lambda: bernoulli(X, X, mask=SPARSE.bool()), r"mask must be a dense tensor.*sparse_coo"),
    "sparse logvar": (lambda: gaussian(X, X, logvar=SPARSE), r"logvar must be a dense tensor.*sparse_coo"),
    "compressed mean": (lambda: gaussian(X.to_sparse_csr(), X), r"mean must be a dense tensor.*sparse_csr"),
    "nested logits": (
        lambda: bernoulli(NESTED, NESTED),
        r"logits must be a dense tensor, got a nested one; torch.nested",
    ),
    "sparse scale": (lambda: kl(X, std=SPARSE), r"std must be a dense tensor.*sparse_coo"),
    "sparse noise": (lambda: kl(X, X, noise=SPARSE), r"noise must be a dense tensor.*sparse_coo"),
    "sparse prior": (lambda: kl(X, X, prior_mean=SPARSE), r"prior_mean must be a dense tensor.*sparse_coo"),
    "nested posterior": (lambda: loss(X, X, NESTED, NESTED), r"mean must be a dense tensor, got a nested one"),
    "sparse beta": (lambda: loss(X, X, Z, Z, beta=SPARSE), r"beta must be a dense tensor"),
    "sparse features": (lambda: minibatch(IMAGE[0].to_sparse()), r"features must be a dense tensor.*sparse_coo"),
    "sparse image": (lambda: conv(IMAGE.to_sparse(), WEIGHT), r"x must be a dense tensor.*sparse_coo"),
    "sparse weight": (lambda: deconv(IMAGE, WEIGHT.to_sparse()), r"weight must be a dense tensor.*sparse_coo"),
    "sparse image and weight": (lambda: conv(IMAGE.to_sparse(), WEIGHT.to_sparse()), r"x must be a dense tensor"),
    "sparse bias": (lambda: conv(IMAGE, WEIGHT, ONES.to_sparse()), r"bias must be a dense tensor.*sparse_coo"),
    "nested bias": (
        lambda: [conv(IMAGE, WEIGHT, ONES), conv(IMAGE, WEIGHT, torch.nested.nested_tensor([ONES]))],
        r"bias must be a dense tensor, got a nested one",
    ),
    "nested images": (lambda: conv(NESTED_IMAGES, WEIGHT), r"x must be a dense tensor, got a nested one"),
    "sparse running mean": (
        lambda: conv_bn(IMAGE, WEIGHT, training=True, running_mean=ONES.to_sparse()),
        r"running_mean must be a dense tensor.*sparse_coo",
    ),
    "beta a string": (lambda: loss(X, X, Z, Z, beta="1"), r"beta must be a number, got str"),
    "beta of integers": (lambda: loss(X, X, Z, Z, beta=torch.tensor(1)), r"beta must be a number or a floating tensor"),
    "free bits None": (lambda: loss(X, X, Z, Z, free_bits=None), r"free_bits must be a number, got NoneType"),
    "trained free bits": (
        lambda: loss(X, X, Z, Z, free_bits=torch.tensor(0.5, requires_grad=True)),
        r"free_bits must be a number.*free_bits.item\(\)",
    ),
    "logits not a tensor": (lambda: bernoulli([0.0], X), r"logits must be a torch.Tensor, got list"),
    "logits of integers": (lambda: bernoulli(X.long(), X), r"logits must have dtype float16.*got torch.int64"),
    "complex logits": (lambda: bernoulli(X.cfloat(), X), r"logits must have dtype.*got torch.complex64"),
    "target not a tensor": (lambda: bernoulli(X, None), r"target must be a torch.Tensor, got NoneType"),
    "target of integers": (lambda: bernoulli(X, X.long()), r"target must have the dtype of logits.*got torch.int64"),
    "target wider": (lambda: bernoulli(X, X.double()), r"target must have.*torch.float32.*got torch.float64"),
    "target half": (lambda: gaussian(X, X.half()), r"target must have the dtype of mean.*got torch.float16"),
    "mask of floats": (lambda: bernoulli(X, X, mask=X), r"mask must have dtype bool.*got torch.float32"),
    "mask not a tensor": (lambda: gaussian(X, X, mask=True), r"mask must be a torch.Tensor, got bool"),
    "logvar a number": (lambda: gaussian(X, X, logvar=0.5), r"logvar must be a torch.Tensor, got float"),
    "logvar wider": (lambda: gaussian(X, X, logvar=X.double()), r"logvar must have the dtype of mean.*torch.float64"),
    "mean not a tensor": (lambda: kl(0.0, Z), r"mean must be a torch.Tensor, got float"),
    "logvar of integers": (lambda: kl(Z, Z.int()), r"logvar must have dtype.*got torch.int32"),
    "std of another dtype": (
        lambda: kl(Z, std=Z.half()),
        r"must have the dtype of std.*torch.float16.*got torch.float32",
    ),
    "prior a number": (lambda: kl(Z, Z, prior_mean=0.0), r"prior_mean must be a torch.Tensor, got float"),
    "prior wider": (lambda: kl(Z, Z, prior_logvar=Z.double()), r"prior_logvar must have the dtype of mean.*float64"),
    "num_samples a float": (lambda: kl(Z, Z, num_samples=2.0), r"num_samples must be an int or None, got float"),
    "num_samples a bool": (lambda: kl(Z, Z, num_samples=True), r"num_samples must be an int or None, got bool"),
    "noise of integers": (lambda: kl(Z, Z, noise=Z.long()), r"noise must have dtype.*got torch.int64"),
    "noise wider": (lambda: kl(Z, Z, noise=Z.double()), r"noise must have the dtype of mean.*got torch.float64"),
    "decoder_output not a tensor": (lambda: loss("x", X, Z, Z), r"decoder_output must be a torch.Tensor, got str"),
    "return_parts a name": (lambda: loss(X, X, Z, Z, return_parts="kl"), r"return_parts must be a bool, got 'kl'"),
    "likelihood_logvar a number": (
        lambda: loss(X, X, Z, Z, likelihood="gaussian", likelihood_logvar=1.0),
        r"likelihood_logvar must be a torch.Tensor, got float",
    ),
    "features not a tensor": (lambda: minibatch([1.0]), r"features must be a torch.Tensor, got list"),
    "features of integers": (lambda: minibatch(IMAGE[0].long()), r"features must have dtype.*got torch.int64"),
    "include_self a number": (lambda: minibatch(IMAGE[0], include_self=1), r"include_self must be a bool, got 1"),
    "image not a tensor": (lambda: conv([1.0], WEIGHT), r"x must be a torch.Tensor, got list"),
    "weight not a tensor": (lambda: deconv(IMAGE, None), r"weight must be a torch.Tensor, got NoneType"),
    "bias a number": (lambda: conv(IMAGE, WEIGHT, 1.0), r"bias must be a torch.Tensor, got float"),
    "weight wider": (lambda: conv(IMAGE, WEIGHT.double()), r"weight must have the dtype of x.*got torch.float64"),
    "bias half": (lambda: deconv(IMAGE, WEIGHT, ONES.half()), r"bias must have the dtype of x.*got torch.float16"),
    "stride a float": (lambda: conv(IMAGE, WEIGHT, stride=2.0), r"stride must be an int or a pair of ints, got 2.0"),
    "padding a string": (
        lambda: conv(IMAGE, WEIGHT, padding="same"),
        r"padding must be an int or a pair of ints, got 'same'",
    ),
    "training a number": (lambda: conv_bn(IMAGE, WEIGHT, training=1), r"training must be a bool, got 1"),
    "normalize a name": (
        lambda: conv_bn(IMAGE, WEIGHT, training=True, normalize="batch"),
        r"normalize must be a bool, got 'batch'",
    ),
    "normalize None": (
        lambda: deconv_bn(IMAGE, WEIGHT, training=True, normalize=None),
        r"normalize must be a bool, got None",
    ),
    "momentum None": (
        lambda: conv_bn(IMAGE, WEIGHT, training=True, momentum=None),
        r"momentum must be a float, got None",
    ),
    "negative slope a string": (
        lambda: conv_bn(IMAGE, WEIGHT, training=True, negative_slope="2"),
        r"negative_slope must be a float, got '2'",
    ),
    "running statistics wider": (
        lambda: deconv_bn(IMAGE, WEIGHT, training=True, running_mean=ONES.double()),
        r"running_mean must have the dtype of x.*got torch.float64",
    ),
}

VALUE_ERRORS: dict[str, tuple[Call, str]] = {
    "logits without a batch": (lambda: bernoulli(X[0, 0], X), r"logits must have shape \[batch, \*event\]"),
    "target of another shape": (
        lambda: bernoulli(X, X[:, :5]),
        r"target must have shape.*logits is \[4, 6\], got \[4, 5\]",
    ),
    "target that would broadcast": (
        lambda: gaussian(X, X[:, :1]),
        r"target must have shape.*mean is \[4, 6\], got \[4, 1\]",
    ),
    "a target for all images": (
        lambda: bernoulli(X, X[0]),
        r"target must have shape.*event of at least one dimension; logits is \[4, 6\], got \[6\]",
    ),
    "a target for all means": (
        lambda: gaussian(X, X[0], reduction="mean"),
        r"target must have shape.*event of at least one dimension; mean is \[4, 6\], got \[6\]",
    ),
    "a target for all outputs": (
        lambda: loss(X, X[0], torch.rand(6, 3), torch.rand(6, 3)),
        r"target must have shape.*event of at least one dimension; decoder_output is \[4, 6\], got \[6\]",
    ),
    "a target of numbers for samples of them": (
        lambda: gaussian(X[:, :1], X[0, :1]),
        r"target must have shape.*mean is \[4, 1\], got \[1\]",
    ),
    "a target without a batch": (lambda: bernoulli(X[0], X[0, 0]), r"target must have shape.*got \[\]"),
    "mask of another shape": (
        lambda: bernoulli(X, X, mask=torch.ones(5, dtype=torch.bool)),
        r"mask must be broadcastable.*\[4, 6\], got \[5\]",
    ),
    "logvar of another shape": (
        lambda: gaussian(X, X, logvar=X[:3]),
        r"logvar must be broadcastable.*mean, \[4, 6\], got \[3, 6\]",
    ),
    "scale of another shape": (lambda: kl(Z, Z[:, :2]), r"logvar must be broadcastable.*mean, \[4, 3\], got \[4, 2\]"),
    "no scale": (lambda: kl(Z), r"exactly one of logvar, std and pre_softplus must be given, got none"),
    "two scales": (lambda: kl(Z, Z, std=Z), r"exactly one of.*got logvar and std"),
    "no samples": (lambda: kl(Z, Z, num_samples=0), r"num_samples must be at least 1, got 0"),
    "noise of mean's shape with samples": (
        lambda: kl(Z, Z, num_samples=2, noise=Z),
        r"noise must have the shape of z, \[2, 4, 3\], got \[4, 3\]",
    ),
    "noise and generator": (
        lambda: kl(Z, Z, noise=Z, generator=torch.Generator()),
        r"generator must be None where noise is given",
    ),
    "prior of another shape": (
        lambda: kl(Z, Z, prior_mean=torch.rand(2)),
        r"prior_mean must be broadcastable.*got \[2\]",
    ),
    "unknown reduction": (
        lambda: bernoulli(X, X, reduction="batchmean"),
        r"reduction must be one of 'none'.*got 'batchmean'",
    ),
    "unknown reduction of the KL": (lambda: kl(Z, Z, reduction=None), r"reduction must be one of.*got None"),
    "unknown backend": (lambda: bernoulli(X, X, backend="cudnn"), r"backend must be one of 'auto'.*got 'cudnn'"),
    "cuda backend on the CPU": (
        lambda: bernoulli(X, X, backend="cuda"),
        r"backend='cuda' needs tensors on a cuda device, got tensors on cpu",
    ),
    "another device": (lambda: bernoulli(X, X.to("meta")), r"target must be on the device of logits, cpu, got meta"),
    "scale on another device": (lambda: kl(Z, Z.to("meta")), r"logvar must be on the device of mean, cpu, got meta"),
    "unknown likelihood": (
        lambda: loss(X, X, Z, Z, likelihood="poisson"),
        r"likelihood must be 'bernoulli' or 'gaussian', got 'poisson'",
    ),
    "variance of a Bernoulli": (
        lambda: loss(X, X, Z, Z, likelihood_logvar=X),
        r"likelihood_logvar must be None with likelihood='bernoulli'",
    ),
    "loss per element": (
        lambda: loss(X, X, Z, Z, reduction="none"),
        r"reduction must be 'mean', 'sum' or 'sample', got 'none'",
    ),
    "free bits that are no number": (
        lambda: loss(X, X, Z, Z, free_bits=float("nan")),
        r"free_bits must be finite, got nan",
    ),
    "infinite free bits": (lambda: loss(X, X, Z, Z, free_bits=float("inf")), r"free_bits must be finite, got inf"),
    "beta that is no number": (lambda: loss(X, X, Z, Z, beta=float("nan")), r"beta must be finite, got nan"),
    "infinite beta": (lambda: loss(X, X, Z, Z, beta=torch.tensor(float("inf"))), r"beta must be finite, got inf"),
    "beta of each example": (
        lambda: loss(X, X, Z, Z, beta=torch.ones(4)),
        r"beta must be a number or a tensor of one element, got shape \[4\]",
    ),
    "negative free bits": (lambda: loss(X, X, Z, Z, free_bits=-1.0), r"free_bits must not be negative, got -1.0"),
    "free bits of an example": (
        lambda: loss(X, X, Z, Z, free_bits=1.0, reduction="sample"),
        r"free_bits needs reduction='mean' or 'sum'",
    ),
    "another batch": (
        lambda: loss(X, X, Z[:3], Z[:3]),
        r"mean must have the batch size of target, 4, got shape \[3, 3\]",
    ),
    "features without kernels": (
        lambda: minibatch(X),
        r"features must have shape \[batch, kernels, dims\], got \[4, 6\]",
    ),
    "unknown backend of features": (lambda: minibatch(IMAGE[0], backend="mps"), r"backend must be one of 'auto'"),
    "image without channels": (lambda: conv(X, WEIGHT), r"x must have shape \[batch, channels, height.*\[4, 6\]"),
    "flat weight": (lambda: conv(IMAGE, X), r"weight must have shape \[out_channels, in_channels, kernel.*\[4, 6\]"),
    "weight without taps": (
        lambda: deconv(IMAGE, WEIGHT[:, :, :0]),
        r"weight must have shape \[in_channels, out_channels, kernel.*0, 4\]",
    ),
    "other channels": (
        lambda: conv(IMAGE[:, :2], WEIGHT),
        r"x must have the 3 input channels of weight.*got \[2, 2, 8, 8\]",
    ),
    "bias of another length": (
        lambda: deconv(IMAGE, WEIGHT, torch.ones(4)),
        r"bias must have shape \[out_channels\], \[3\], got \[4\]",
    ),
    "weight on another device": (
        lambda: conv(IMAGE, WEIGHT.to("meta")),
        r"weight must be on the device of x, cpu, got meta",
    ),
    "no stride": (lambda: conv(IMAGE, WEIGHT, stride=0), r"stride must be.*at least 1, got 0"),
    "negative padding": (lambda: deconv(IMAGE, WEIGHT, padding=(1, -1)), r"padding must be.*at least 0, got \(1, -1\)"),
    "three strides": (lambda: conv(IMAGE, WEIGHT, stride=(1, 2, 3)), r"stride must be.*got \(1, 2, 3\)"),
    "output padding of a stride": (
        lambda: deconv(IMAGE, WEIGHT, output_padding=2),
        r"output_padding must be smaller than stride, \(2, 2\), got 2",
    ),
    "kernel larger than the image": (
        lambda: conv(IMAGE[:, :, :1], WEIGHT),
        r"x must be large enough for an output.*\(0, 4\) from \[2, 3, 1, 8\]",
    ),
    "image without columns": (
        lambda: deconv(IMAGE[..., :0], WEIGHT),
        r"x must be large enough for an output.*from \[2, 3, 8, 0\]",
    ),
    "padded image without columns": (
        lambda: conv(IMAGE[..., :0], WEIGHT, padding=2),
        r"x must be large enough for an output.*from \[2, 3, 8, 0\]",
    ),
    "unknown algorithm": (
        lambda: conv(IMAGE, WEIGHT, algorithm="fft"),
        r"algorithm must be one of 'auto', 'direct'.*got 'fft'",
    ),
    "unknown backend of a convolution": (lambda: conv(IMAGE, WEIGHT, backend="mkl"), r"backend must be one of 'auto'"),
    "unknown activation": (
        lambda: conv_bn(IMAGE, WEIGHT, training=True, activation="gelu"),
        r"activation must be one of.*got 'gelu'",
    ),
    "no running statistics": (
        lambda: deconv_bn(IMAGE, WEIGHT, training=False, running_mean=ONES),
        r"running_mean and running_var must be given where training is False",
    ),
    "one running statistic": (
        lambda: conv_bn(IMAGE, WEIGHT, training=True, running_var=ONES),
        r"running_mean and running_var must both be given or both be None, got running_var alone",
    ),
    "no eps in training": (
        lambda: deconv_bn(IMAGE, WEIGHT, training=True, eps=0),
        r"eps must be positive where training is True, got 0",
    ),
    "negative eps": (
        lambda: conv_bn(IMAGE, WEIGHT, training=False, running_mean=ONES, running_var=ONES, eps=-1e-5),
        r"eps must be at least 0, got -1e-05",
    ),
    "batch norm of other channels": (
        lambda: conv_bn(IMAGE, WEIGHT, training=True, bn_weight=torch.ones(2)),
        r"bn_weight must have shape \[out_channels\], \[3\], got \[2\]",
    ),
    "one value a channel": (
        lambda: conv_bn(IMAGE[:1, :, :2, :2], WEIGHT, training=True),
        r"x must give more than 1 value per channel",
    ),
}


@pytest.mark.parametrize("name", TYPE_ERRORS)
def test_type_errors(name: str) -> None:
    call, message = TYPE_ERRORS[name]
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("name", VALUE_ERRORS)
def test_value_errors(name: str) -> None:
    call, message = VALUE_ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_explicit_backend_that_cannot_run_says_why() -> None:
    """No silent fallback: the reason, and what to do."""
    from deepgen_fast import backends

    for backend, (available, reason) in backends.availability().items():
        if available:
            continue
        assert reason
        device = "cpu" if backend == "cpu" else "cuda"
        with pytest.raises(RuntimeError, match="cannot run"):
            backends.choose(backend, torch.device(device))


def test_triton_on_the_cpu_needs_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(ValueError, match=r"backend='triton' needs tensors on a GPU.*TRITON_INTERPRET=1"):
        bernoulli(X, X, backend="triton")


def test_messages_are_about_the_outer_arguments() -> None:
    """The loss checks under its own argument names before it calls anything else."""
    with pytest.raises(ValueError, match="likelihood_logvar must be broadcastable to the shape of decoder_output"):
        loss(X, X, Z, Z, likelihood="gaussian", likelihood_logvar=torch.rand(5))
    with pytest.raises(ValueError, match=r"target must have shape.*decoder_output"):
        loss(X, X[:3], Z, Z)


def test_numbers_of_an_example_and_samples_of_them() -> None:
    """What stays allowed: one number an example, and samples of events of any dimension."""
    assert bernoulli(X[0], X[0]).shape == (6,)
    assert gaussian(torch.rand(3, 4, 6), X).shape == (3, 4)
    assert gaussian(torch.rand(3, 4, 1), X[:, :1]).shape == (3, 4)


def test_wrong_layout_after_calls_that_fit() -> None:
    """Remembered shapes do not let another layout through."""
    for _ in range(3):
        conv(IMAGE, WEIGHT)
    for image, weight in ((IMAGE.to_sparse(), WEIGHT), (IMAGE, WEIGHT.to_sparse()), (NESTED_IMAGES, WEIGHT)):
        with pytest.raises(TypeError, match="must be a dense tensor"):
            conv(image, weight)
    with pytest.raises(TypeError, match="must be a dense tensor"):
        conv(IMAGE.to_sparse(), WEIGHT.to_sparse())
