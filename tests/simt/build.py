"""Compiles the CUDA operators for the CPU, against the SIMT emulator, into one library of torch operators.

The library is the product's own source (csrc/**/*.cu, launchers included) registered as ``deepgen_fast_simt`` for CPU
tensors, so that tests call emulated kernels as they call any other backend.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from build_support import TORCH_TARGET_VERSION, torch_directory, torch_include_paths  # noqa: E402
from simt.objects import compiled, run  # noqa: E402

CSRC = ROOT / "csrc"
EMULATOR = ROOT / "tests" / "simt"
CACHE = ROOT / "build" / "simt"
NAMESPACE = "deepgen_fast_simt"
SANITIZE = ("-fsanitize=address", "-fno-omit-frame-pointer")


def compiler() -> str | None:
    """The C++ compiler that builds the emulated kernels, or None."""
    wanted = os.environ.get("CXX", "g++")
    return shutil.which(wanted)


def sources() -> list[Path]:
    """The product's CUDA sources, the emulator's controls, and what tests call of the kernels' bodies."""
    return [*sorted(CSRC.rglob("*.cu")), EMULATOR / "control.cpp", EMULATOR / "noise.cpp"]


def _fingerprint(flags: Sequence[str]) -> str:
    digest = hashlib.sha256(repr((torch.__version__, compiler(), *flags)).encode())
    inputs = [p for p in CSRC.rglob("*") if p.suffix in {".cu", ".cuh", ".h"}]
    for path in sorted([*inputs, *EMULATOR.glob("*.h"), *EMULATOR.glob("*.cpp")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def compiler_command(flags: Sequence[str] = (), csrc: Path = CSRC) -> list[str]:
    """What compiles CUDA source as C++ against the emulator, but for source and output."""
    includes = [f"-I{csrc}", f"-I{EMULATOR}", *(f"-isystem{path}" for path in torch_include_paths())]
    return [
        compiler() or "g++", "-std=c++20", "-O1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall",
        "-Wno-unknown-pragmas", "-DDGF_SIMT", f"-DTORCH_TARGET_VERSION={TORCH_TARGET_VERSION}", *includes, *flags,
        "-x", "c++",
    ]  # fmt: skip


def compile_command(source: Path, output: Path, flags: Sequence[str] = (), csrc: Path = CSRC) -> list[str]:
    """One translation unit of CUDA source, compiled as C++ against the emulator."""
    return [*compiler_command(flags, csrc), "-c", str(source), "-o", str(output)]


def build_library(flags: Sequence[str] = ()) -> Path:
    """Compile (once per content of the sources) and return the library's path."""
    folder = CACHE / _fingerprint(flags)
    library = folder / "emulated.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    command, objects_here = compiler_command(flags), CACHE / "objects" / torch.__version__
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        objects = list(pool.map(lambda source: compiled(command, source, ROOT, objects_here), sources()))
    partial = library.with_suffix(f".{os.getpid()}")
    libraries = [f"-L{torch_directory()}/lib", "-ltorch_cpu"]
    run([compiler() or "g++", "-shared", *map(str, objects), *flags, *libraries, "-o", str(partial)])
    partial.replace(library)
    return library


def schemas() -> list[str]:
    """The operators' schemas, as the CPU sources define them."""
    definitions = (re.findall(r"m\.def\(([^;]+)\);", path.read_text()) for path in CSRC.glob("ops/*/*.cpp"))
    return ["".join(re.findall(r'"([^"]*)"', text)) for texts in definitions for text in texts]


@functools.cache
def load() -> ctypes.CDLL:
    """Build and load the emulated operators as ``torch.ops.deepgen_fast_simt``; returns the emulator's controls."""
    flags = SANITIZE if os.environ.get("DGF_SIMT_SANITIZE") else ()
    library = build_library(flags)
    definitions = torch.library.Library(NAMESPACE, "DEF")
    for schema in schemas():
        definitions.define(schema)
    torch.ops.load_library(library)
    controls = ctypes.CDLL(str(library))
    controls.definitions = definitions  # type: ignore[attr-defined]  # lives as long as the library
    return controls
