"""What is told where the library is not there: once, at the first call, with advice that works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import deepgen_fast as dgf
from deepgen_fast import installation, native
from deepgen_fast.cli.app import app

WARNING = "plain PyTorch runs in place of the fused cpu kernels (cpu: it was not built)"

CALLS = """
import warnings
import torch

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import deepgen_fast as dgf
    dgf.doctor()
    model = dgf.accelerate(torch.nn.Sequential(torch.nn.ConvTranspose2d(64, 64, 4, 2, 1), torch.nn.ReLU()))
    assert not caught, "warned before any operator was called"
    {first}
    (warning,) = caught
    print(warning.filename, warning.category.__name__, warning.message)
    dgf.bernoulli_log_likelihood(torch.zeros(2, 3), torch.zeros(2, 3))
    dgf.conv2d(torch.zeros(2, 3, 8, 8), torch.zeros(4, 3, 4, 4))
    model(torch.zeros(8, 64, 16, 16))
    assert len(caught) == 1, "warned twice"
"""
FIRST = {
    "likelihood": "dgf.gaussian_log_likelihood(torch.zeros(2, 3), torch.zeros(2, 3))",
    "convolution": "dgf.conv_transpose2d(torch.zeros(2, 3, 4, 4), torch.zeros(3, 4, 4, 4))",
    "accelerated": "model(torch.zeros(8, 64, 16, 16))",
    "compiled": "f = dgf.bernoulli_log_likelihood; f(torch.rand(2, 3), torch.rand(2, 3), backend='reference');"
    "torch.compile(lambda x: f(x, x), backend='eager', fullgraph=True)(torch.rand(2, 3))",
}


@pytest.mark.parametrize("first", FIRST)
def test_one_warning_at_the_first_call(checkout, first: str) -> None:
    """The stub ``_C.pyi`` in the package is no library."""
    done = checkout.python(CALLS.format(first=FIRST[first]))
    assert done.returncode == 0, done.stderr
    assert f"UserWarning deepgen_fast: {WARNING}" in done.stdout
    assert done.stdout.startswith("<string>")  # the line of the user, not one of ours or torch's


def test_a_library_for_another_python_is_named(checkout) -> None:
    (checkout.package / "_C.cpython-35m-other.so").touch()
    done = checkout.python("from deepgen_fast import native; print(native.CPU_UNAVAILABLE)")
    assert done.stdout == "the library there is, _C.cpython-35m-other.so, was built for another Python\n"


def test_an_explicit_choice_of_the_reference_does_not_warn(checkout) -> None:
    done = checkout.python(
        "import torch, warnings; warnings.simplefilter('error'); import deepgen_fast as dgf;"
        "dgf.bernoulli_log_likelihood(torch.zeros(2, 3), torch.zeros(2, 3), backend='reference')"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", ["2.9.1+cpu", "1.13.0", "2.0.0a0+git"])
def test_torch_that_is_too_old_is_named_at_import(checkout, version: str) -> None:
    done = checkout.python(f"import torch; torch.__version__ = {version!r}; import deepgen_fast")
    last = done.stderr.splitlines()[-1]
    assert last == f"ImportError: deepgen_fast needs torch >= 2.10, found torch {version}: pip install 'torch>=2.10'"


@pytest.mark.parametrize("version", ["2.10.0", "2.13.0+cpu", "3.0.0", "unknown"])
def test_torch_that_is_new_enough_is_taken(version: str) -> None:
    native._check_torch(version)


@pytest.mark.usefixtures("fresh_backends")
def test_doctor_shows_errors_alone_and_only_the_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "_not_built.txt"
    errors = [f"a.cpp:{line}: error: {line}" for line in range(50)]
    record.write_text("the reason\n" + "\n".join(f"g++ -c a.cpp\n{error}\n  note" for error in errors))
    monkeypatch.setattr(installation, "CPU_RECORD", record)
    monkeypatch.setattr(native, "CPU_UNAVAILABLE", native._not_there())
    finding = dgf.doctor().finding("CPU library")
    assert finding.value == "it was not built: the reason; the plain torch reference runs in its place"
    assert finding.details == (*errors[:12], f"(all of it: {record})")
    shown = [CliRunner().invoke(app, command).stdout for command in (["doctor"], ["doctor", "--plain"])]
    for text in (str(dgf.doctor()), *shown):
        assert errors[0] in text and errors[11] in text and errors[12] not in text


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ({"url": "{folder}", "dir_info": {}}, "--no-build-isolation {path}"),
        ({"url": "file:///gone", "dir_info": {}}, "--no-build-isolation .   (in the folder of the sources)"),
        (
            {"url": "https://host/d.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "--no-build-isolation git+https://host/d.git@abc",
        ),
        ({}, "--no-build-isolation .   (in the folder of the sources)"),
    ],
)
def test_an_installation_is_built_again_from_where_it_came(monkeypatch, tmp_path, origin, expected) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "setup.py").touch()
    if "{folder}" in origin.get("url", ""):
        origin = {**origin, "url": sources.as_uri()}

    class Distribution:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return json.dumps(origin) if origin else None

    monkeypatch.setattr(installation.importlib.metadata, "distribution", lambda name: Distribution())
    found = installation.build_command(tmp_path / "site-packages" / "deepgen_fast")
    assert found.endswith(expected.format(path=sources))
    assert "DEEPGEN_FAST_BUILD_CPU=1 pip install --force-reinstall --no-deps" in found
