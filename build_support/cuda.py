"""Builds the CUDA operators into deepgen_fast/_C_cuda.so, where nvcc and a CUDA build of torch are found.

The library speaks torch's stable ABI and has no Python symbols: ``torch.ops.load_library`` loads it into any torch
>= 2.10, with CUDA or without. The CUDA runtime is linked statically, so that it loads without CUDA libraries as well.

Run by setup.py; alone: ``python -m build_support.cuda [output]``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from build_support import TORCH_TARGET_VERSION, record, torch_directory, torch_include_paths

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"
LIBRARY = ROOT / "deepgen_fast" / "_C_cuda.so"
ARCHITECTURES = (80, 90, 100)  # Ampere and Ada, Hopper, Blackwell; the last one's PTX serves what comes later
FORCE = "DEEPGEN_FAST_BUILD_CUDA"  # build time only: 1 builds against a CPU torch as well, 0 leaves CUDA out


@dataclass(frozen=True)
class Toolkit:
    """A CUDA compiler and the folder its headers and libraries lie in."""

    nvcc: Path
    home: Path

    def architectures(self) -> list[int]:
        """Those of ARCHITECTURES that this compiler knows."""
        known = _output([str(self.nvcc), "--list-gpu-code"])
        return [number for number in ARCHITECTURES if re.search(rf"\bsm_{number}\b", known)]


def _output(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    return result.stdout + result.stderr


def _own_home(nvcc: Path) -> Path:
    """The toolkit folder as nvcc itself sees it; its parent folder is wrong where a wrapper script is on the PATH."""
    found = re.search(r"^#\$ TOP=(.+)$", _output([str(nvcc), "--dryrun", "-x", "cu", "-c", os.devnull]), re.M)
    return Path(found[1]).resolve() if found else nvcc.resolve().parents[1]


def _has_headers(home: Path) -> bool:
    return any((home / folder / "cuda_runtime.h").exists() for folder in ("include", "targets/x86_64-linux/include"))


def find_toolkit() -> Toolkit | str:
    """The CUDA compiler to use, or why there is none. CUDA_HOME (or CUDA_PATH) goes before the PATH."""
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if home := os.environ.get(variable):
            nvcc = Path(home) / "bin" / "nvcc"
            if not nvcc.exists():
                return f"{variable}={home} has no bin/nvcc"
            return Toolkit(nvcc, Path(home)) if _has_headers(Path(home)) else Toolkit(nvcc, _own_home(nvcc))
    on_path = shutil.which("nvcc")
    if on_path is None:
        return "nvcc is not on the PATH and CUDA_HOME is not set"
    home = _own_home(Path(on_path))
    if not _has_headers(home):
        return f"nvcc is at {on_path}, but {home} has no include/cuda_runtime.h"
    return Toolkit(Path(on_path), home)


def missing() -> str | None:
    """Why the CUDA operators cannot be built here, or None."""
    if os.environ.get(FORCE) == "0":
        return f"{FORCE}=0"
    toolkit = find_toolkit()
    if isinstance(toolkit, str):
        return toolkit
    if not toolkit.architectures():
        return f"{toolkit.nvcc} compiles for none of sm_{', sm_'.join(map(str, ARCHITECTURES))}"
    import torch

    if torch.version.cuda is None and os.environ.get(FORCE) != "1":
        return f"torch {torch.__version__} is built without CUDA (set {FORCE}=1 to build all the same)"
    return None


def sources() -> list[Path]:
    """The CUDA translation units."""
    return sorted(CSRC.rglob("*.cu"))


def compile_command(toolkit: Toolkit, source: Path, output: Path, extra: tuple[str, ...] = ()) -> list[str]:
    """The nvcc call of one translation unit, for all architectures that the compiler knows."""
    numbers = toolkit.architectures()
    targets = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in numbers]
    targets.append(f"-gencode=arch=compute_{numbers[-1]},code=compute_{numbers[-1]}")
    return [
        str(toolkit.nvcc), "-std=c++20", "-O3", *targets, "--expt-relaxed-constexpr", "-Xcompiler=-fPIC",
        "-Xcompiler=-fvisibility=hidden", "-Xfatbin=-compress-all",
        f"-DTORCH_TARGET_VERSION={TORCH_TARGET_VERSION}", f"-I{CSRC}",
        f"-isystem={toolkit.home / 'include'}", *(f"-isystem={path}" for path in torch_include_paths()),
        *extra, "-c", str(source), "-o", str(output),
    ]  # fmt: skip


def link_command(toolkit: Toolkit, objects: list[Path], output: Path) -> list[str]:
    """Objects to the shared library; of torch it needs libtorch_cpu alone, which every build of torch has loaded."""
    torch = torch_directory()
    assert torch is not None
    return [
        str(toolkit.nvcc), "-shared", "-cudart=static", *map(str, objects), f"-L{torch / 'lib'}", "-ltorch_cpu", "-ldl",
        "-o", str(output),
    ]  # fmt: skip


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")


def is_current(library: Path) -> bool:
    """Whether a built library is newer than everything it is built from."""
    inputs = [path for path in CSRC.rglob("*") if path.suffix in {".cu", ".cuh", ".h"}]
    newest = max(path.stat().st_mtime for path in [*inputs, Path(__file__)])
    return library.exists() and library.stat().st_mtime > newest


def build(output: Path = LIBRARY, temporary: Path = ROOT / "build" / "cuda") -> str:
    """Build the library if its sources changed; never raises.

    Returns:
        One line that says what was built, or why nothing was.
    """
    if reason := missing():
        return f"CUDA operators not built: {reason}."
    toolkit = find_toolkit()
    assert isinstance(toolkit, Toolkit)
    if is_current(output):
        return f"CUDA operators up to date in {output.name}."
    temporary.mkdir(parents=True, exist_ok=True)
    objects = [temporary / f"{source.parent.name}_{source.stem}.o" for source in sources()]
    try:
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            commands = [compile_command(toolkit, s, o) for s, o in zip(sources(), objects, strict=True)]
            list(pool.map(_run, commands))
        _run(link_command(toolkit, objects, output))
    except (OSError, RuntimeError) as error:
        output.unlink(missing_ok=True)  # of other sources than these
        reason = record.summary(str(error)) or "the compiler failed"
        record.write(output.parent, record.CUDA, reason, str(error))
        return f"CUDA operators not built: {reason}; see {output.parent / record.CUDA}."
    record.clear(output.parent, record.CUDA)
    built_for = ", ".join(f"sm_{number}" for number in toolkit.architectures())
    return f"CUDA operators built: {output.name} for {built_for} with {toolkit.nvcc}."


if __name__ == "__main__":
    print(build(*map(Path, sys.argv[1:2])))
