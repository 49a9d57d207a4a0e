"""Launchers' calls on tensors of more than 2^31 elements, mapped and touched only where a few programs read and write.

An offset that has lost its high bits ends the process, or gives what is not the reference's. Of the rows the last are
compared, of the channels and kernels too; the programs that a call runs must include those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from cuda.cases import Call
from cuda.layer_cases import SLOPE
from torch import Tensor

from deepgen_fast.ops.batch_norm_act import reference as batch_norm
from guard_pages.memory import sparse

BF16 = torch.bfloat16
COLUMNS, ROWS, SAMPLED_ROWS = 2**10, 2**21 + 3, 2**20 + 3
LAST = 1  # row
CHANNELS, PIXELS, LAST_CHANNELS = 2**22, 2**9 + 3, 16


class Large(NamedTuple):
    """One call of a launcher, and what ``compared`` of its outputs must be."""

    op: str
    args: tuple[Any, ...]
    expected: Callable[[], Sequence[Tensor]]
    compared: Callable[[Tensor], Tensor]
    every: int  # of each launch the last program runs, and one in so many beside it

    def __str__(self) -> str:
        written = (f"{str(a.dtype)[6:]}{list(a.shape)}" if isinstance(a, Tensor) else repr(a) for a in self.args)
        return f"{self.op}({', '.join(written)})"

    def check(self, operator: Callable[..., Any]) -> None:
        """Run it and compare: values of bfloat16 operands, in the accumulation dtype or rounded again."""
        results = operator(*self.args)
        results = results if isinstance(results, tuple | list) else (results,)
        for result, expected in zip(results, self.expected(), strict=True):
            torch.testing.assert_close(self.compared(result), expected, rtol=2e-2, atol=2e-2, check_dtype=False)


def rows(count: int, dtype: torch.dtype = BF16, leading: tuple[int, ...] = ()) -> Tensor:
    """[*leading, count, COLUMNS], random in the last rows and zero before."""
    value = sparse((*leading, count, COLUMNS), dtype)
    size = (*leading, LAST, COLUMNS)
    value[..., -LAST:, :] = torch.randn(size) if dtype.is_floating_point else torch.rand(size) > 0.5
    return value


def row_weights(count: int, leading: tuple[int, ...] = ()) -> Tensor:
    """[*leading, count] incoming gradients, likewise."""
    value = sparse((*leading, count), torch.float32)
    value[..., -LAST:] = torch.randn(*leading, LAST)
    return value


def last_rows(value: Any) -> Any:
    """A copy of the last rows of an operand; what is no tensor as it is."""
    if not isinstance(value, Tensor) or value.dim() == 0:
        return value
    return (value[..., -LAST:, :] if value.shape[-1] == COLUMNS else value[..., -LAST:]).clone()


def last_row(out: Tensor) -> Tensor:
    """Of an output: the last row, of the last sample."""
    found = last_rows(out)
    samples = found.dim() == 3 or (found.dim() == 2 and found.shape[1] == LAST)
    return found[-1:] if samples else found


def row_calls() -> Iterator[Large]:
    """Likelihoods and the reparameterization with every operand as large, then with samples that share some."""
    output, logvar, grad = rows(ROWS), rows(ROWS), row_weights(ROWS)
    target, mask, wide = rows(ROWS, torch.uint8), rows(ROWS, torch.bool), rows(ROWS, torch.float32)
    posterior = (output, logvar, output, logvar, logvar, None, None, 0, False)  # with a prior of each and given noise
    outputs, noise = (rows(SAMPLED_ROWS, BF16, (2,)) for _ in range(2))
    shared, scale, weights = rows(SAMPLED_ROWS), rows(SAMPLED_ROWS), row_weights(SAMPLED_ROWS, (2,))
    sampled = (shared, scale, None, None, noise, None, 2, 0, False)
    calls = (
        Call("bernoulli_log_likelihood", (output, target, mask, False)),
        Call("bernoulli_log_likelihood", (output, target, None, True)),
        Call("bernoulli_log_likelihood_backward", (grad, output, target, mask, False, True, True)),
        Call("bernoulli_log_likelihood_backward", (wide, output, target, mask, True, True, True)),
        Call("gaussian_log_likelihood", (output, target, logvar, mask, False)),
        Call("gaussian_log_likelihood_backward", (grad, output, target, logvar, mask, False, True, True, True)),
        Call("reparameterize_kl", posterior),
        Call("reparameterize_kl_backward", (output, grad, *posterior, True)),
        Call("bernoulli_log_likelihood", (outputs, shared, None, False)),
        Call("gaussian_log_likelihood_backward", (weights, outputs, shared, scale, None, False, True, True, True)),
        Call("reparameterize_kl", sampled),
        Call("reparameterize_kl_backward", (noise, weights[0], *sampled, False)),
    )
    for call in calls:
        small = Call(call.op, tuple(map(last_rows, call.args)))
        expected = lambda small=small: [last_row(out) for out in small.reference(wide=False)]  # noqa: E731
        yield Large(call.op, call.args, expected, last_row, ROWS // 4)


def loss_call() -> Large:
    """negative_elbo of as many latents; the loss itself, a sum over programs that do not run, is left out."""
    mean, scale, pixel = rows(ROWS), rows(ROWS), sparse((ROWS, 1), BF16)
    options = (None, None, 1.0, 0.0, 0, 0, False, True, None)
    call = Call("negative_elbo", (pixel, pixel, None, None, mean, scale, *options))
    small = Call(call.op, (pixel[-LAST:], pixel[-LAST:], None, None, last_rows(mean), last_rows(scale), *options))

    def compared(found: Tensor) -> Tensor:
        if found.dim() == 0 or found.numel() == 0:
            return found.new_zeros(found.shape)
        return found[-LAST:] if found.dim() == 1 else found[-LAST:, -COLUMNS:]

    def expected() -> list[Tensor]:
        return [compared(value) for value in small.reference(wide=False)]

    return Large(call.op, call.args, expected, compared, ROWS // 4)


def many_examples() -> Large:
    """negative_elbo of more than 2^31 examples of one pixel and one latent."""
    batch = 2**31 + 5
    pixel, mean = sparse((batch, 1), BF16), sparse((batch, 1), BF16)
    pixel[-1], mean[-1] = 3.0, 2.0
    options = (None, None, 1.0, 0.0, 0, 0, False, True, None)
    small = Call("negative_elbo", (pixel[-1:], pixel[-1:], None, None, mean[-1:], mean[-1:], *options))

    def compared(found: Tensor) -> Tensor:
        return found[-1:] if found.dim() else torch.zeros(())

    def expected() -> list[Tensor]:
        return [compared(value) for value in small.reference(wide=False)]

    return Large("negative_elbo", (pixel, pixel, None, None, mean, mean, *options), expected, compared, batch)


def many_samples() -> Iterator[Large]:
    """More than 2^31 rows of one column, as samples times examples of which neither number is as large."""
    batch = 2**30 + 5
    noise, mean = sparse((3, batch, 1), BF16), sparse((batch, 1), BF16)
    noise[:, -1], mean[-1] = torch.tensor([[1.0], [2.0], [3.0]]), 0.5
    sampled = (mean, mean, None, None, noise, None, 3, 0, False)
    calls = (
        Call("bernoulli_log_likelihood", (noise, mean, None, False)),
        Call("reparameterize_kl", sampled),
        Call("reparameterize_kl_backward", (noise, None, *sampled, False)),
    )

    def last(value: Any) -> Any:
        """The last example, in all samples."""
        if not isinstance(value, Tensor) or value.numel() == 0:
            return value
        return (value[:, -1:] if value.shape[0] == 3 else value[-1:]).clone()

    for call in calls:
        small = Call(call.op, tuple(map(last, call.args)))
        expected = lambda small=small: list(map(last, small.reference(wide=False)))  # noqa: E731
        yield Large(call.op, call.args, expected, last, 2**30)


def batch_norm_calls() -> Iterator[Large]:
    """Channel statistics and batch norm of a channels-last image: every program of the last channels runs."""
    image, grad = (sparse((1, PIXELS, 1, CHANNELS), BF16).movedim(-1, 1) for _ in range(2))
    for tensor in (image, grad):
        tensor[:, -LAST_CHANNELS:] = torch.randn(1, LAST_CHANNELS, PIXELS, 1)
    vectors = [torch.rand(CHANNELS) + 0.5 for _ in range(4)]

    def last(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return (value[:, -LAST_CHANNELS:] if value.dim() == 4 else value[..., -LAST_CHANNELS:]).clone()

    def made(op: str, *args: Any) -> Large:
        def expected() -> Sequence[Tensor]:
            results = getattr(batch_norm, op)(*map(last, args))
            return results if isinstance(results, tuple) else (results,)

        return Large(op, args, expected, last, CHANNELS // 256)

    yield made("channel_statistics", image)
    yield made("batch_norm_act", image, *vectors, 2, SLOPE)
    for training in (True, False):
        yield made("batch_norm_act_backward", grad, image, *vectors, 2, SLOPE, training, True, True)


def minibatch_calls() -> Iterator[Large]:
    """Minibatch discrimination with many kernels: the program of the last one runs."""
    kernels, dims = 2**25 + 1, 2**4
    features, incoming = sparse((4, kernels, dims), BF16), sparse((4, kernels), torch.float32)
    features[:, -1] = torch.randn(4, dims) / dims
    incoming[:, -1] = torch.randn(4)
    for op, args in (
        ("minibatch_discrimination", (features, False)),
        ("minibatch_discrimination_backward", (incoming, features, False)),
    ):
        small = Call(op, tuple(a[:, -1:].clone() if isinstance(a, Tensor) else a for a in args))
        yield Large(op, args, lambda small=small: small.reference(wide=False), lambda out: out[:, -1:], kernels)
