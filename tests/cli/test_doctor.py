"""dgf.doctor() on this installation, and on ones where parts are missing."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest
import torch

import deepgen_fast as dgf
from deepgen_fast import backends, diagnosis

pytestmark = pytest.mark.usefixtures("fresh_backends")


def test_reports_versions_and_choices() -> None:
    report = dgf.doctor()
    assert report.finding("deepgen_fast").value == dgf.__version__
    assert report.finding("torch").value.startswith(torch.__version__)
    for op in ("reparameterize_kl", "bernoulli_log_likelihood", "gaussian_log_likelihood", "negative_elbo"):
        chosen = backends.choose("auto", torch.device("cpu"))
        assert report.finding(op).value.startswith(f"{chosen} on cpu tensors")
    with pytest.raises(KeyError):
        report.finding("flux capacitor")


CONVOLUTIONS = ("conv2d", "conv_transpose2d", "conv_bn_act", "conv_transpose_bn_act")


def test_convolutions_are_listed_with_what_explain_says_of_a_layer() -> None:
    report = dgf.doctor()
    section = next(section for section in report if section.title == "What backend='auto' runs")
    public = {name for name in dgf.__all__ if inspect.isfunction(getattr(dgf, name)) and name in dgf.ops.__all__}
    assert public <= {finding.name for finding in section.findings}
    assert set(CONVOLUTIONS) == {name for name in public if name.startswith("conv")}
    for name in CONVOLUTIONS:
        transposed = "transpose" in name
        x = torch.zeros(64, 256, 8, 8) if transposed else torch.zeros(64, 128, 16, 16)
        weight = torch.zeros(256, 128, 4, 4)
        training = {"training": True} if name.endswith("bn_act") else {}
        (row,) = dgf.explain(getattr(dgf, name), x, weight, stride=2, padding=1, **training).rows
        assert report.finding(name).value == f"{row.backend} on cpu tensors (algorithm {row.forward})"
    assert report.finding("batch norm").value == f"{backends.choose('auto', torch.device('cpu'))} on cpu tensors"
    assert "dgf.explain" in report.finding("algorithm").value


def test_without_the_cpu_library_convolutions_are_pytorchs(monkeypatch) -> None:
    monkeypatch.setattr(diagnosis.native, "CPU_UNAVAILABLE", "it was not built")
    report = dgf.doctor()
    for name in CONVOLUTIONS:
        assert report.finding(name).value == "reference on cpu tensors (algorithm direct)"
    assert report.finding("batch norm").value == "reference on cpu tensors"


def test_a_library_without_the_operator_leaves_batch_norm_to_the_reference(monkeypatch) -> None:
    monkeypatch.setattr("deepgen_fast.ops.batch_norm_act.launch.has_kernel", lambda operator, device_type: False)
    assert dgf.doctor().finding("batch norm").value == "reference on cpu tensors"


def test_on_a_gpu_triton_normalizes_what_pytorch_convolves(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Test GPU")
    monkeypatch.setattr(diagnosis.native, "CUDA_UNAVAILABLE", "it was not built")
    monkeypatch.setattr(backends, "_triton_unavailable", lambda: None)
    report = dgf.doctor()
    assert report.finding("negative_elbo").value.endswith("triton on cuda tensors")
    assert report.finding("batch norm").value.endswith("triton on cuda tensors")
    assert report.finding("conv_transpose2d").value.endswith("reference on cuda tensors (algorithm direct)")


def test_text_holds_every_finding_and_repeats() -> None:
    text = str(dgf.doctor())
    assert text == str(dgf.doctor())
    for section in dgf.doctor():
        assert section.title in text
        for finding in section.findings:
            assert finding.name in text
            assert finding.value in text
            assert finding.remedy in text


def test_a_missing_cpu_library_names_reason_fallback_and_remedy(monkeypatch) -> None:
    monkeypatch.setattr(diagnosis.native, "CPU_UNAVAILABLE", "it was not built")
    report = dgf.doctor()
    library = report.finding("CPU library")
    assert library.ok is False
    assert library.value == "it was not built; the plain torch reference runs in its place"
    assert "C++ compiler" in library.remedy
    assert report.finding("negative_elbo").value.startswith("reference on cpu tensors")


@pytest.mark.parametrize("gpu", [False, True])
def test_missing_gpu_parts_matter_only_with_a_gpu(monkeypatch, gpu: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Test GPU")
    monkeypatch.setattr(diagnosis.native, "CUDA_UNAVAILABLE", "it was not built")
    monkeypatch.setattr(backends, "_triton_unavailable", lambda: "triton is not installed")
    report = dgf.doctor()
    for name, remedy in (("CUDA library", "nvcc"), ("Triton", "deepgen_fast[triton]")):
        finding = report.finding(name)
        assert finding.ok is (False if gpu else None)
        assert (remedy in finding.remedy) is gpu
        assert ("not needed here" in finding.value) is not gpu
    assert report.finding("GPU").value == ("Test GPU" if gpu else "none that torch can use")
    if gpu:
        assert report.finding("negative_elbo").value.endswith("reference on cuda tensors")


def test_a_missing_package_names_the_command_that_brings_it(monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "mlxtend" else find(name, *rest)
    )
    finding = dgf.doctor().finding("mlxtend")
    assert finding.ok is False
    assert finding.remedy == "pip install 'deepgen_fast[train]'"


def test_listed_packages_are_those_of_the_extra() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    extra = re.search(r"^train = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert extra is not None
    names = set(re.findall(r'"([a-z0-9-]+)', extra[1])) - {"tomli"}  # part of Python since 3.11
    listed = {
        diagnosis._DISTRIBUTIONS.get(module, module)
        for module, requirement, _ in diagnosis._OPTIONAL_PACKAGES
        if requirement == "deepgen_fast[train]"
    }
    assert listed == names


@pytest.mark.parametrize("flags", [[], ["--plain"]])
def test_command(command, flags: list[str]) -> None:
    result = command("doctor", *flags)
    assert result.exit_code == 0, result.output
    assert "What backend='auto' runs" in result.stdout
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in result.stdout
