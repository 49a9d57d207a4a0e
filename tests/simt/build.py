"""Compiles the CUDA operators for the CPU, against the SIMT emulator, into one library of torch operators.

The library is the product's own source (csrc/**/*.cu, launchers included) registered as ``deepgen_fast_simt`` for CPU
tensors, so that tests call emulated kernels as they call any other backend.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch.utils.cpp_extension import include_paths, library_paths

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
EMULATOR = ROOT / "tests" / "simt"
CACHE = ROOT / "build" / "simt"
NAMESPACE = "deepgen_fast_simt"
SANITIZE = ("-fsanitize=address", "-fno-omit-frame-pointer")

# The launchers' schemas; the product's are defined by the CPU library under the name deepgen_fast.
SCHEMAS = (
    "reparameterize_kl(Tensor mean, Tensor scale, Tensor? prior_mean, Tensor? prior_logvar, Tensor? noise, "
    "Tensor? seed, int? num_samples, int scale_kind, bool elementwise_kl) -> (Tensor, Tensor)",
    "reparameterize_kl_backward(Tensor? grad_z, Tensor? grad_kl, Tensor mean, Tensor scale, Tensor? prior_mean, "
    "Tensor? prior_logvar, Tensor? noise, Tensor? seed, int? num_samples, int scale_kind, bool elementwise_kl, "
    "bool need_prior) -> (Tensor, Tensor, Tensor, Tensor)",
    "bernoulli_log_likelihood(Tensor logits, Tensor target, Tensor? mask, bool elementwise) -> Tensor",
    "bernoulli_log_likelihood_backward(Tensor grad, Tensor logits, Tensor target, Tensor? mask, bool elementwise, "
    "bool need_logits, bool need_target) -> (Tensor, Tensor)",
    "gaussian_log_likelihood(Tensor mean, Tensor target, Tensor? logvar, Tensor? mask, bool elementwise) -> Tensor",
    "gaussian_log_likelihood_backward(Tensor grad, Tensor mean, Tensor target, Tensor? logvar, Tensor? mask, "
    "bool elementwise, bool need_mean, bool need_target, bool need_logvar) -> (Tensor, Tensor, Tensor)",
    "negative_elbo(Tensor decoder_output, Tensor target, Tensor? likelihood_logvar, Tensor? mask, Tensor mean, "
    "Tensor scale, Tensor? prior_mean, Tensor? prior_logvar, float beta, float free_bits, int likelihood, "
    "int scale_kind, bool mean_reduction, bool need_gradients) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    "philox_normal(Tensor seed, SymInt[] size, bool samples) -> Tensor",
)


def compiler() -> str | None:
    """The C++ compiler that builds the emulated kernels, or None."""
    wanted = os.environ.get("CXX", "g++")
    return shutil.which(wanted)


def sources() -> list[Path]:
    """The product's CUDA sources, and the emulator's controls."""
    return [*sorted(CSRC.rglob("*.cu")), EMULATOR / "control.cpp"]


def _fingerprint(flags: Sequence[str]) -> str:
    digest = hashlib.sha256(repr((torch.__version__, compiler(), *flags)).encode())
    inputs = [p for p in CSRC.rglob("*") if p.suffix in {".cu", ".cuh", ".h"}]
    for path in sorted([*inputs, *EMULATOR.glob("*.h"), *EMULATOR.glob("*.cpp")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def compile_command(source: Path, output: Path, flags: Sequence[str] = (), csrc: Path = CSRC) -> list[str]:
    """One translation unit of CUDA source, compiled as C++ against the emulator."""
    includes = [f"-I{csrc}", f"-I{EMULATOR}", *(f"-isystem{path}" for path in include_paths())]
    # Contraction off, as in nvcc's emulated code there is no fused multiply-add to contract to but the written ones.
    return [
        compiler() or "g++", "-std=c++20", "-O1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall",
        "-Wno-unknown-pragmas", "-DDGF_SIMT", "-DTORCH_TARGET_VERSION=0x020A000000000000ULL", *includes, *flags,
        "-x", "c++", "-c", str(source), "-o", str(output),
    ]  # fmt: skip


def run(command: Sequence[str]) -> None:
    """Run a compiler, and show what it said when it fails."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")


def build_library(flags: Sequence[str] = ()) -> Path:
    """Compile (once per content of the sources) and return the library's path."""
    folder = CACHE / _fingerprint(flags)
    library = folder / "emulated.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    objects = [folder / f"{source.parent.name}_{source.stem}.o" for source in sources()]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        list(pool.map(run, [compile_command(s, o, flags) for s, o in zip(sources(), objects, strict=True)]))
    search = [f"-L{path}" for path in library_paths()]
    partial = library.with_suffix(f".{os.getpid()}")
    run([compiler() or "g++", "-shared", *map(str, objects), *flags, *search, "-ltorch", "-ltorch_cpu", "-lc10",
         "-o", str(partial)])  # fmt: skip
    partial.replace(library)
    return library


@functools.cache
def load() -> ctypes.CDLL:
    """Build and load the emulated operators as ``torch.ops.deepgen_fast_simt``; returns the emulator's controls."""
    flags = SANITIZE if os.environ.get("DGF_SIMT_SANITIZE") else ()
    library = build_library(flags)
    definitions = torch.library.Library(NAMESPACE, "DEF")
    for schema in SCHEMAS:
        definitions.define(schema)
    torch.ops.load_library(library)
    controls = ctypes.CDLL(str(library))
    controls.definitions = definitions  # type: ignore[attr-defined]  # lives as long as the library
    return controls
