"""Copies of the repository to plant faults in: the working tree is never edited."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "mutants"
OBJECTS = CACHE / "objects"
PRODUCT = ("deepgen_fast", "csrc", "build_support")
# Faults in the kernels of one instruction set's vectors are faults in all: the one that every x86 processor of the last
# ten years has is compiled and run.
INSTRUCTION_SET = "avx2"
OTHER_SETS = ("avx512", "neon")

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests"))

from simt.objects import compiled, run  # noqa: E402

from build_support import cpu  # noqa: E402


def files() -> list[str]:
    """What the repository holds: tracked, and new files that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return sorted(name for name in set(listed.splitlines()) if (ROOT / name).is_file())


def fingerprint(names: list[str]) -> str:
    """Of the contents of files."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\0".encode() + (ROOT / name).read_bytes())
    return digest.hexdigest()[:20]


LIBRARY = f"deepgen_fast/_C{sysconfig.get_config_var('EXT_SUFFIX')}"


def copy(folder: Path) -> Path:
    """A copy of the repository in ``folder``, with the CPU library that was built in it."""
    for name in [*files(), *[LIBRARY] * (ROOT / LIBRARY).exists()]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def _compile_command(extension: object, root: Path) -> list[str]:
    includes = [*extension.include_dirs, sysconfig.get_path("include")]  # type: ignore[attr-defined]
    macros = [f"-D{name}={value}" for name, value in extension.define_macros]  # type: ignore[attr-defined]
    # -O1: nobody times these kernels.
    arguments = [f for f in extension.extra_compile_args if not f.startswith("-O")]  # type: ignore[attr-defined]
    return [
        os.environ.get("CXX", "g++"),
        *arguments,
        "-O1",
        "-fPIC",
        *macros,
        # As system headers they are none of what an object depends on; the repository's own are.
        *(f"-I{path}" if Path(path) == root / "csrc" else f"-isystem{path}" for path in includes),
    ]


def build_cpu(root: Path) -> None:
    """The CPU library of a copy; only what a fault touches is compiled."""
    here = Path.cwd()
    os.chdir(root)  # the extension's sources are relative
    try:
        extension = cpu.extension()
    finally:
        os.chdir(here)
    command = _compile_command(extension, root)

    def compile_one(unit: cpu.Unit) -> str:
        # The other instruction sets as they are in the repository: they only have to be there.
        tree = ROOT if unit.instruction_set in OTHER_SETS else root
        words = [*command, *(f"-D{name}" for name, _ in unit.macros())]
        return str(compiled([word.replace(str(root), str(tree)) for word in words], tree / unit.source, tree, OBJECTS))

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        objects = list(pool.map(compile_one, cpu.units(extension.sources)))
    libraries = [*(f"-L{path}" for path in extension.library_dirs), *(f"-l{name}" for name in extension.libraries)]
    compiler = os.environ.get("CXX", "g++")
    run([compiler, "-shared", *objects, *extension.extra_link_args, *libraries, "-o", str(root / LIBRARY)])


def restore_cpu(root: Path) -> None:
    """The library that was built in the repository, once more."""
    shutil.copy2(ROOT / LIBRARY, root / LIBRARY)


def share_emulator_objects(root: Path) -> None:
    """Let a copy's emulator (tests/simt) find the objects that other copies made."""
    shared = CACHE / "emulator"
    shared.mkdir(parents=True, exist_ok=True)
    (root / "build" / "simt").mkdir(parents=True, exist_ok=True)
    (root / "build" / "simt" / "objects").symlink_to(shared)
