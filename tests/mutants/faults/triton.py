"""Triton kernels, in the interpreter."""

from mutants.fault import Fault

_OPS, _TESTS = "deepgen_fast/ops", "tests/triton_backend/kernels"

FAULTS = (
    Fault(
        f"{_OPS}/triton_channels.py",
        "total = tl.sum(tl.where(inside[:, None], value, 0.0), axis=0)",
        "total = tl.sum(value, axis=0)",
        f"{_TESTS}/test_batch_norm_act.py {_TESTS}/test_convolution.py",
    ),
    Fault(
        f"{_OPS}/triton_channels.py",
        "    if WIDE:\n        group = group.to(tl.int64)\n    channel = tl.program_id(0) * COLS + tl.arange(0, COLS)\n"
        "    exists = channel < channels\n    end = tl.minimum(tiles, (group + 1) * combined)\n    count",
        "    channel = tl.program_id(0) * COLS + tl.arange(0, COLS)\n"
        "    exists = channel < channels\n    end = tl.minimum(tiles, (group + 1) * combined)\n    count",
        "tests/guard_pages/test_large.py -k triton -m slow",
    ),
    Fault(
        f"{_OPS}/triton_likelihood.py",
        "    if WIDE:\n        tile = tile.to(tl.int64)\n",
        "",
        "tests/guard_pages/test_large.py -k triton -m slow",
    ),
    Fault(
        f"{_OPS}/triton_likelihood.py",
        "                if keep is not None:\n                    grad_output = tl.where(keep, grad_output, 0.0)\n",
        "",
        f"{_TESTS}/test_likelihood_kernels.py",
    ),
    Fault(
        f"{_OPS}/triton_likelihood.py",
        "                if not FULL:\n                    value = tl.where((col < columns)[None, :], value, 0.0)\n",
        "",
        f"{_TESTS}/test_likelihood_kernels.py",
    ),
    Fault(
        f"{_OPS}/triton_tiles.py",
        "cols = min(1024, max(4, triton.next_power_of_2(chunks)))",
        "cols = 4",
        f"{_TESTS}/test_likelihood_kernels.py",
    ),
    Fault(
        f"{_OPS}/minibatch_discrimination/triton_kernels.py",
        "            weight = (grad * value)[:, :, None]\n",
        "            weight = (own_grad * value)[:, :, None]\n",
        f"{_TESTS}/test_minibatch_discrimination.py",
    ),
    Fault(
        f"{_OPS}/bernoulli_log_likelihood/triton_math.py",
        "return target - tl.where(logit < 0.0, decay * inverse, inverse)",
        "return target - inverse",
        f"{_TESTS}/test_likelihood_kernels.py",
    ),
    Fault(
        f"{_OPS}/batch_norm_act/triton_kernels.py",
        "mask=inside, other=0.0).to(ACC)\n    count, mean, deviations",
        "other=0.0).to(ACC)\n    count, mean, deviations",
        "tests/guard_pages/test_guard_pages.py -k triton",
    ),
)
