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


#: Files that take many seconds: fresh processes, compilers, emulators and training. `make test-fast` leaves them out.
LONG = {
    "analysis": ["test_trained_discriminator"],
    "cli": ["test_quickstart", "test_torchrun"],
    "contract": ["test_compile", "test_first_call"],
    "cuda": ["test_accuracy", "test_convolution", "test_mutations"],
    "data": ["test_sentences", "test_splits"],
    "guard_pages": ["test_guard_pages", "test_large"],
    "installation": ["test_failed_build", "test_missing_library"],
    "metrics": ["test_image_classifier"],
    "nn": [
        "test_accelerate_compile",
        "test_accelerate_distributed",
        "test_accelerate_winograd",
        "test_published_models",
    ],
    "properties": ["test_convolutions", "test_likelihoods", "test_negative_elbo", "test_reparameterize_kl"],
    "simt": ["test_emulator"],
    "systems": ["test_conditional_systems", "test_installed_package", "test_vae_systems_learn"],
    "training": ["test_distributed", "test_gan_resume", "test_gan_trainer", "test_lapgan_training"],
    "triton_backend": ["test_budget", "test_interpreter"],
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", type=int, metavar="N", help="at most N cases of each parametrized test, spread evenly")


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # One test of two minutes: begun last, it would leave the other processes without work.
    items.sort(key=lambda item: item.path.stem != "test_interpreter")
    for item in items:
        if item.path.stem in LONG.get(item.path.parent.name, ()):
            item.add_marker("long")
    most = config.getoption("cases")
    if most is None:
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.split("[")[0], []).append(item)
    kept = {id(of[i * len(of) // most]) for of in cases.values() for i in range(most)}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = [item for item in items if id(item) in kept]


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
