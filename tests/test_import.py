"""Importing: what the core package loads, and what it does where it was never compiled."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _python(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light() -> None:
    """The core needs torch and numpy only: no plotting, no command line, no compiler is loaded with it."""
    script = (
        "import sys, json, torch; before = set(sys.modules); import deepgen_fast;"
        "print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - before})))"
    )
    loaded = set(json.loads(_python(script)))
    heavy = {"matplotlib", "triton", "typer", "rich", "pydantic", "tensorboard", "safetensors", "mlxtend", "pandas",
             "scipy", "sklearn", "PIL", "torchvision", "tomli", "tomli_w", "click"}  # fmt: skip
    assert not loaded & heavy
    assert "deepgen_fast" in loaded


def test_import_leaves_out_what_has_its_own_dependencies() -> None:
    """Trainers, data, metrics and the command line are imported by whoever uses them; nothing compiles at import."""
    script = (
        "import sys, json, torch; before = set(sys.modules); import deepgen_fast;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(_python(script))
    lazy = (
        "deepgen_fast.training",
        "deepgen_fast.systems",
        "deepgen_fast.runs",
        "deepgen_fast.data",
        "deepgen_fast.metrics",
        "deepgen_fast.cli",
    )
    assert not [name for name in loaded if name.startswith((*lazy, "torch._dynamo", "torch._inductor"))]


_WITHOUT_LIBRARY = """
import sys
import torch

class NotBuilt:
    def find_spec(self, name, path=None, target=None):
        if name == "deepgen_fast._C":
            raise ImportError("no compiled library in this test")

sys.meta_path.insert(0, NotBuilt())
import deepgen_fast as dgf
from deepgen_fast import backends

assert backends.choose("auto", torch.device("cpu")) == "reference"
mean = torch.randn(3, 5, requires_grad=True)
target = torch.rand(3, 5)
torch.manual_seed(1)
z, kl = dgf.reparameterize_kl(mean, mean.detach(), num_samples=2)
loss = dgf.negative_elbo(z, target, mean, mean.detach())
loss = loss - dgf.bernoulli_log_likelihood(mean, target).sum() - dgf.gaussian_log_likelihood(mean, target).sum()
(loss + kl.sum()).backward()
assert mean.grad.isfinite().all()
for run in (dgf.bernoulli_log_likelihood, dgf.gaussian_log_likelihood):
    try:
        run(mean, target, backend="cpu")
    except RuntimeError as error:
        print(error)
    else:
        raise SystemExit("backend='cpu' ran without its library")
print(dgf.doctor())
"""


def test_without_the_compiled_library() -> None:
    """A pure-Python install works on the reference; an explicit backend that is missing says so and why."""
    said = _python(_WITHOUT_LIBRARY)
    assert said.count("backend='cpu' cannot run: ") == 2
    assert "no compiled library in this test" in said or "was not built" in said


def test_unknown_instruction_set_leaves_the_reference() -> None:
    """DEEPGEN_FAST_ISA naming a set that is not there: the reference runs, and the reason is told."""
    script = (
        "import os; os.environ['DEEPGEN_FAST_ISA'] = 'none';"
        "import torch; from deepgen_fast import backends;"
        "print(backends.choose('auto', torch.device('cpu')), backends.unavailable('cpu'))"
    )
    assert _python(script).startswith("reference ")


def test_no_file_of_the_tests_hides_a_package() -> None:
    """pytest puts folders of tests on the path: a file or folder there is what an import of a missing package finds."""
    project = (ROOT / "pyproject.toml").read_text()
    packages = {name.replace("-", "_") for name in re.findall(r'"([A-Za-z0-9_-]+)(?=[<>=])', project)}
    assert {"torch", "numpy", "triton", "hypothesis"} <= packages
    files = list((ROOT / "tests").rglob("*.py"))
    found = {path for file in files for path in (file, *file.parents) if path.is_relative_to(ROOT / "tests")}
    # What lies in a package of the tests is imported by that package's name.
    loose = [path for path in found if not (path.parent / "__init__.py").exists()]
    assert ROOT / "tests" / "triton_backend" in loose
    assert not [str(path) for path in loose if path.stem in packages]
