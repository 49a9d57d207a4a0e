"""Builds deepgen_fast._C: the stable-ABI CPU operators and the pybind11 module, in one library.

The sources are compiled in parallel. Where no C++ compiler or no torch is found, the package still installs, with the
plain-torch reference and Triton backends, and the build says so.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import platform
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

from setuptools import Extension
from setuptools.command.build_ext import build_ext

from build_support import TORCH_TARGET_VERSION, torch_directory, torch_include_paths


def why_not() -> str | None:
    """The reason why the CPU library cannot be built here, or None."""
    if os.environ.get("DEEPGEN_FAST_BUILD_CPU") == "0":
        return "DEEPGEN_FAST_BUILD_CPU=0 leaves it out"
    if torch_directory() is None:
        return "torch is not installed (its headers are needed)"
    if importlib.util.find_spec("pybind11") is None:
        return "pybind11 is not installed"
    compiler = os.environ.get("CXX", "g++" if sys.platform.startswith("linux") else "c++").split()[0]
    if shutil.which(compiler) is None:
        return f"no C++ compiler: {compiler!r} is not on the PATH (set CXX, or install g++)"
    if platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64"):
        return f"no kernels for processor {platform.machine()!r}"
    return None


def extension() -> Extension:
    import pybind11

    torch = torch_directory()
    assert torch is not None
    sources = sorted([*glob.glob("csrc/ops/*/*.cpp"), *glob.glob("csrc/cpu/*.cpp"), "csrc/bindings.cpp"])
    headers = sorted(glob.glob("csrc/**/*.h", recursive=True))
    openmp = [] if sys.platform == "darwin" else ["-fopenmp"]
    return Extension(
        "deepgen_fast._C",
        sources,
        depends=headers,
        # Before torch's own copy of pybind11, which refuses a source that keeps to the stable ABI.
        include_dirs=[pybind11.get_include(), *torch_include_paths()],
        library_dirs=[str(torch / "lib")],
        libraries=["torch_cpu", "c10"],
        define_macros=[("TORCH_TARGET_VERSION", TORCH_TARGET_VERSION)],
        extra_compile_args=[
            "-std=c++20",
            "-O2",
            "-g0",
            "-fvisibility=hidden",
            # A result must not depend on where the compiler chose to fuse: fma is written out where it is meant.
            "-ffp-contract=off",
            "-fno-math-errno",
            "-fno-trapping-math",
            "-Wno-psabi",
            # GCC 12 warns of its own AVX-512 headers.
            "-Wno-maybe-uninitialized",
            "-Wno-uninitialized",
            *openmp,
        ],
        extra_link_args=openmp,
        language="c++",
        optional=True,
    )


class ParallelBuild(build_ext):
    """build_ext that compiles an extension's sources side by side, longest first."""

    def build_extension(self, ext: Extension) -> None:
        compile_one = self.compiler.compile

        def compile_all(sources, *args, **kwargs):
            by_size = sorted(sources, key=lambda source: ("avx" not in source, source))
            with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
                objects = pool.map(lambda source: compile_one([source], *args, **kwargs), by_size)
                return [item for group in objects for item in group]

        self.compiler.compile = compile_all
        try:
            super().build_extension(ext)
        finally:
            self.compiler.compile = compile_one
