"""What every test shares: few threads, fixed seeds, and memory that shows when a kernel leaves it unwritten."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Threads that wait sleep: spinning takes the cores from tests that run in other processes. Read as torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# Property tests: the same examples each time, on any machine. ``--hypothesis-profile=thorough`` draws more of them.
_EXAMPLES = {"quick": 200, "thorough": 10_000}
for _name, _count in _EXAMPLES.items():
    settings.register_profile(
        _name, max_examples=_count, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
settings.load_profile("quick")
# Hypothesis also tries the numbers that it finds in the modules that are loaded, so that examples would depend on which
# tests ran before in this process.
providers._get_local_constants = providers.Constants

torch.set_num_threads(2)
# On a GPU PyTorch computes float32 convolutions in TF32 unless told not to, and warns of matrix products where their
# order is to be the same each time.
torch.backends.cudnn.allow_tf32 = False
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def nan_filled_memory() -> Iterator[None]:
    """``torch.empty`` gives NaN (integers: their maximum), so an output that a kernel does not write is seen."""
    torch.use_deterministic_algorithms(True, warn_only=True)  # only the filling is wanted
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def fresh_backends() -> Iterator[None]:
    """Lets a test change which backends are available: the choice is cached."""
    from deepgen_fast import backends

    backends._choose.cache_clear()
    backends._triton_unavailable.cache_clear()
    yield
    backends._choose.cache_clear()
    backends._triton_unavailable.cache_clear()


@pytest.fixture
def threads() -> Iterator[None]:
    """Lets a test change the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
