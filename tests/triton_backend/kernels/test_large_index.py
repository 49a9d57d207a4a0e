"""Tensors of more than 2^31 elements: mapped, but only their last row is ever touched."""

from __future__ import annotations

import builtins
import os
import resource

import pytest
import torch

from deepgen_fast.ops.bernoulli_log_likelihood import reference
from deepgen_fast.ops.bernoulli_log_likelihood import triton as kernels
from deepgen_fast.ops.triton_tiles import is_wide, tile_for

ROWS, COLUMNS = 2**10 + 2, 2**21


def test_the_index_type_follows_the_number_of_elements():
    assert not is_wide(2**31 - 1)
    assert is_wide(5, 2**31)


@pytest.fixture
def only_last_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the interpreter execute the programs of the last row alone; a GPU executes them all."""
    if os.environ.get("TRITON_INTERPRET") != "1":
        return
    from triton.runtime import interpreter

    chunks = tile_for(COLUMNS).chunks

    def last_of(stop, *bounds):
        whole = builtins.range(stop, *bounds)
        return whole[-chunks:] if len(whole) > 10_000 else whole

    monkeypatch.setattr(interpreter, "range", last_of, raising=False)


@pytest.mark.slow
def test_a_row_beyond_31_bits(only_last_row, device):
    # Fresh memory is mapped lazily: 6 GiB of address space cost the pages of the last row.
    logits = torch.empty(ROWS, COLUMNS, dtype=torch.bfloat16, device=device)
    target = torch.empty(ROWS, COLUMNS, dtype=torch.bool, device=device)
    generator = torch.Generator().manual_seed(0)
    logits[-1] = torch.randn(COLUMNS, generator=generator)
    target[-1] = torch.rand(COLUMNS, generator=generator) > 0.5
    value = kernels.bernoulli_log_likelihood(logits, target, None, False)
    expected = reference.bernoulli_log_likelihood(logits[-1:], target[-1:], None, False)
    torch.testing.assert_close(value[-1:], expected)

    grad = torch.full((ROWS,), 2.0, device=device)
    grad_logits, _ = kernels.bernoulli_log_likelihood_backward(grad, logits, target, None, False, True, False)
    wanted, _ = reference.bernoulli_log_likelihood_backward(
        grad[-1:], logits[-1:], target[-1:], None, False, True, False
    )
    torch.testing.assert_close(grad_logits[-1:], wanted)
    if device.type == "cpu":
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 2**20  # KiB
