"""Emulated CUDA launchers on tensors of more than 2^31 elements; see ``large.py``. Prints each call before it runs."""

from __future__ import annotations

import torch
from simt import build

from guard_pages import large


def main() -> None:
    controls = build.load()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    calls = [(call, large.ROWS // 16) for call in large.row_calls()]  # so many rows a multiprocessor: a warp a row
    # A team of lanes a row; but there reparameterize_kl has the KL of samples in the first sample's rows.
    calls += [(call, 2**30) for call in large.row_calls() if call.op != "reparameterize_kl" or call.args[2] is not None]
    calls += [(call, 2**30) for call in (large.loss_call(), *large.batch_norm_calls(), *large.minibatch_calls())]
    for call, multiprocessors in calls:
        print(call, flush=True)
        controls.simt_multiprocessors(multiprocessors)
        controls.simt_run_every(call.every)
        call.check(getattr(torch.ops.deepgen_fast_simt, call.op))
    print(len(calls))


if __name__ == "__main__":
    main()
