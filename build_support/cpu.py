"""Builds deepgen_fast._C: the stable-ABI CPU operators and the pybind11 module, in one library.

The sources are compiled in parallel. Where the library cannot be built the package still installs, with the plain-torch
reference and Triton backends; the build says so, and a file in the package says why (see ``record``).
"""

from __future__ import annotations

import glob
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import NamedTuple

from setuptools import Extension
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import BaseError, CCompilerError

from build_support import TORCH_TARGET_VERSION, record, torch_directory, torch_include_paths

MODULE = "deepgen_fast._C"
#: Each operator's cpu.cpp is compiled once for each, with this macro; see csrc/cpu/instruction_set.h.
INSTRUCTION_SETS = {"avx2": "DGF_AVX2", "avx512": "DGF_AVX512", "neon": "DGF_NEON"}
SWITCH = "DEEPGEN_FAST_BUILD_CPU"  # build time only: 1 fails where the library cannot be built, 0 leaves it out


def is_required() -> bool:
    """Whether an installation without the library is a failed one.

    Raises:
        SystemExit: SWITCH is neither 0 nor 1.
    """
    value = os.environ.get(SWITCH, "")
    if value not in ("", "0", "1"):
        raise SystemExit(f"{SWITCH} must be 0 (leave the CPU library out), 1 (fail without it) or unset, got {value!r}")
    return value == "1"


def unsupported_reason() -> str | None:
    """The reason why the CPU library cannot be built here, or None."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0 left it out"
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


class Unit(NamedTuple):
    """A source, and the instruction set that it is compiled for where it is compiled for each."""

    source: str
    instruction_set: str | None

    def macros(self) -> list[tuple[str, str | None]]:
        return [] if self.instruction_set is None else [(INSTRUCTION_SETS[self.instruction_set], None)]


def units(sources: Iterable[str]) -> list[Unit]:
    """What is compiled, longest first."""
    found = []
    for source in sources:
        sets = INSTRUCTION_SETS if Path(source).name == "cpu.cpp" else (None,)
        found += [Unit(source, name) for name in sets]
    return sorted(found, key=lambda unit: (unit.instruction_set is None, "convolution" not in unit.source, unit.source))


def extension() -> Extension:
    import pybind11

    torch = torch_directory()
    assert torch is not None
    sources = sorted([*glob.glob("csrc/ops/*/*.cpp"), *glob.glob("csrc/cpu/*.cpp"), "csrc/bindings.cpp"])
    headers = sorted(glob.glob("csrc/**/*.h", recursive=True))
    return Extension(
        MODULE,
        sources,
        depends=headers,
        # Before torch's own copy of pybind11, which refuses a source that keeps to the stable ABI.
        include_dirs=[os.path.abspath("csrc"), pybind11.get_include(), *torch_include_paths()],
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
        ],
        language="c++",
        optional=not is_required(),
    )


def settle(folder: Path, reason: str) -> None:
    """There is no library to build: note it in the package's folder, unless one from an earlier build lies there.

    Raises:
        SystemExit: the library is required.
    """
    if is_required():
        raise SystemExit(f"deepgen_fast: {SWITCH}=1, but the CPU library cannot be built: {reason}")
    if not any((folder / f"_C{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
        record.write(folder, record.CPU, reason)


class PythonBuild(build_py):
    """build_py that notes why there is no library to build: setuptools does not come to build_ext then."""

    def run(self) -> None:
        super().run()
        if reason := unsupported_reason():
            here = self.get_package_dir("deepgen_fast") if self.editable_mode else f"{self.build_lib}/deepgen_fast"
            settle(Path(here), reason)


class NativeBuild(build_ext):
    """build_ext that compiles an extension's units side by side, longest first, and notes why it failed."""

    def run(self) -> None:
        self._failure: tuple[str, str] | None = None
        inplace = self.inplace
        try:
            super().run()
        finally:
            self.inplace = inplace
            self._note()

    def _note(self) -> None:
        library = Path(self.get_ext_fullpath(MODULE))
        if self._failure:
            library.unlink(missing_ok=True)  # what lies there is of other sources than these
            record.write(library.parent, record.CPU, *self._failure)
        elif reason := unsupported_reason():
            settle(library.parent, reason)
        else:
            record.clear(library.parent, record.CPU)

    def build_extension(self, ext: Extension) -> None:
        compile_one = self.compiler.compile

        def compile_unit(unit, output_dir=None, macros=None, **kwargs):
            folder = os.path.join(output_dir or "", unit.instruction_set or "")
            return compile_one([unit.source], output_dir=folder, macros=[*(macros or []), *unit.macros()], **kwargs)

        def compile_all(sources, **kwargs):
            with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
                objects = [pool.submit(compile_unit, unit, **kwargs) for unit in units(sources)]
                try:
                    return [item for group in objects for item in group.result()]
                except BaseException:
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise

        self.compiler.compile = compile_all
        try:
            with record.listening() as said:
                super().build_extension(ext)
        except (CCompilerError, BaseError) as error:
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)  # of an earlier build; it would be installed
            self._failure = (record.summary(said.text) or str(error)[:300], f"{said.text}\n{error}\n")
            raise  # setuptools goes on where the extension is optional
        finally:
            self.compiler.compile = compile_one
