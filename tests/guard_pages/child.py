"""Run the calls of one backend between guard pages, in a process that such an access may end: child.py BACKEND.

Each call is printed before it runs, so that the last line names the one that did not end.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from guard_pages.calls import GEOMETRIES, GuardedCall, batch_norms, few_channels, row_calls, winograd
from guard_pages.memory import EDGES, guarded_all

F32, F64, BF16, F16 = torch.float32, torch.float64, torch.bfloat16, torch.float16
Backend = tuple[Callable[[str], Callable[..., Any]], Callable[[], Iterator[GuardedCall]]]


def _cpu() -> Backend:
    from contract.raw import RAW_CALLS  # loads the operators

    def calls() -> Iterator[GuardedCall]:
        for dtype in (F32, F64, BF16, F16):
            yield from row_calls(dtype)
            yield from batch_norms(dtype)
            yield from few_channels(dtype)
        yield from row_calls(F32, ((None, 1, 32768 + 5), (2, 1, 4096 + 3)))
        yield from winograd()
        for call in RAW_CALLS:
            yield from (GuardedCall(call.name, call.arguments(dtype)) for dtype in call.dtypes)

    return lambda op: getattr(torch.ops.deepgen_fast, op), calls


def _emulated() -> Backend:
    from simt import build

    build.load()

    def calls() -> Iterator[GuardedCall]:
        for dtype in (F32, BF16):
            yield from row_calls(dtype)
            yield from batch_norms(dtype)
        yield from row_calls(F64, ((None, 5, 3), (2, 3, 131)), ())
        yield from row_calls(F32, ((None, 1, 4096 + 3),), ())
        yield from few_channels(F32)
        yield from winograd()

    return lambda op: getattr(torch.ops.deepgen_fast_simt, op), calls


def triton_launchers() -> dict[str, Callable[..., Any]]:
    """Every Triton launcher by its name."""
    from deepgen_fast.ops.launchers import launchers

    folders = ("reparameterize_kl", "bernoulli_log_likelihood", "gaussian_log_likelihood", "negative_elbo",
               "minibatch_discrimination", "batch_norm_act", "convolution")  # fmt: skip
    modules = [launchers(folder, "triton") for folder in folders]
    return {name: getattr(module, name) for module in modules for name in vars(module)}


def _triton() -> Backend:
    def calls() -> Iterator[GuardedCall]:
        # Few, since the interpreter takes its time; what types of data do to addresses it leaves to NumPy.
        rows = row_calls(F32, ((2, 3, 17), (None, 1, 4096 + 3)), ((5, 3, 5), (3, 17, 2)))
        yield from (call for call in rows if call.op != "philox_normal")  # on Triton it is a part of other kernels
        yield from batch_norms(F32, ((5, 3), (3, 7, 5, 3)))
        yield from winograd((GEOMETRIES[0], GEOMETRIES[3]))

    return triton_launchers().__getitem__, calls


BACKENDS = {"cpu": _cpu, "emulated": _emulated, "triton": _triton}


def main(backend: str, allocator: str) -> None:
    """Every call with its tensors at either edge; in the interpreter, which is slow, at the end alone.

    ``allocator``: the library, preloaded, that guards what torch allocates too; "" for none.
    """
    torch.set_num_threads(1)
    operator, calls = BACKENDS[backend]()
    guard_from = ctypes.CDLL(allocator).guard_from if allocator else lambda edge: None
    torch.manual_seed(0)
    count = 0
    for call in calls():
        for number, edge in enumerate(EDGES[:1] if backend == "triton" else EDGES, start=1):
            print(f"operands and outputs guarded at their {edge}: {call}", flush=True)
            args = guarded_all(call.args, edge)
            guard_from(number)
            operator(call.op)(*args)
            guard_from(0)
            count += 1
    print(count)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
