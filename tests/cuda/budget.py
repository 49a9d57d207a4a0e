"""What the compiler made of the CUDA kernels: registers, spills and access widths, held against a checked-in budget.

Needs nvcc and cuobjdump (in the CUDA toolkit, or in Triton), and no GPU. Builds the library if its sources changed,
against whatever torch is installed.

    python tests/cuda/budget.py             # compare with budget.json; exit code 1 on a regression
    python tests/cuda/budget.py --update    # write budget.json anew
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from build_support import cuda  # noqa: E402

BUDGET = Path(__file__).with_name("budget.json")
# The library in place if there is one; else one that is built to be looked at, and never loaded.
LIBRARY = cuda.LIBRARY if cuda.is_current(cuda.LIBRARY) else ROOT / "build" / "cuda" / "_C_cuda.so"
# Kernels whose accesses are 128 bits wide where their operands allow it.
_WIDE = re.compile(
    r"(rows|channels|few_to_many|patches)_kernel<true|(windows|tiles|outputs|weights|weight_gradient)_kernel<4"
)
# Noise reads a seed alone, free bits a vector that it overwrites, patches numbers from all over an image; sums go out
# one a row.
_NARROW_LOADS, _NARROW_STORES = ("NoiseBody", "FreeBitsBody", "patches_kernel"), ("SumBody",)
_RESOURCES = re.compile(r"Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")


class Figures(NamedTuple):
    """One kernel for one architecture."""

    registers: int
    spilled: int  # bytes of stack and local memory
    loads: tuple[int, ...]  # widths of its global loads, bits
    stores: tuple[int, ...]


def cuobjdump() -> str | None:
    """The disassembler, from the PATH, the toolkit or Triton."""
    toolkit = cuda.find_toolkit()
    triton = importlib.util.find_spec("triton")
    folders = [] if isinstance(toolkit, str) else [toolkit.home / "bin"]
    if triton and triton.origin:
        folders.append(Path(triton.origin).parent / "backends" / "nvidia" / "bin")
    return shutil.which("cuobjdump") or next((p for f in folders if (p := shutil.which("cuobjdump", path=f))), None)


def unsupported_reason() -> str | None:
    """Why the figures cannot be read here, or None."""
    toolkit = cuda.find_toolkit()
    if isinstance(toolkit, str):
        return toolkit
    missing = [n for n in cuda.ARCHITECTURES if n not in toolkit.architectures()]
    if missing:
        return f"{toolkit.nvcc} does not compile for sm_{missing[0]}"
    return None if cuobjdump() else "cuobjdump is neither on the PATH nor in the CUDA toolkit nor in Triton"


def _widths(code: str, instruction: str) -> tuple[int, ...]:
    found = re.findall(rf"\b{instruction}\.E((?:\.\w+)*)", code)
    return tuple(sorted({int(m[1]) if (m := re.search(r"\.(?:[US])?(8|16|64|128)\b", f)) else 32 for f in found}))


def _short_name(name: str) -> str:
    name = re.sub(r"^void |dgf::cuda::|c10::|torch::headeronly::", "", name)
    depth = 0
    for index, character in enumerate(name):  # up to the end of the template arguments
        depth += (character == "<") - (character == ">")
        if character == "(" and depth == 0:
            return re.sub("> (?=>)", ">", name[:index])
    return name


def read(library: Path, architecture: int) -> dict[str, Figures]:
    """The figures of every kernel in a library, by its name."""
    tool = cuobjdump() or "cuobjdump"
    arch = ["-arch", f"sm_{architecture}"]
    resources = subprocess.run([tool, "-res-usage", *arch, library], capture_output=True, text=True)
    sass = subprocess.run([tool, "-sass", *arch, library], capture_output=True, text=True).stdout
    code = dict(re.findall(r"Function : (\S+)\n(.*?)(?=\n\s*Function : |\Z)", sass, re.S))
    found = _RESOURCES.findall(resources.stdout + resources.stderr)
    symbols = "\n".join(symbol for symbol, *_ in found)
    names = subprocess.run(["c++filt"], input=symbols, capture_output=True, text=True).stdout.splitlines()
    figures = {}
    for name, (symbol, registers, stack, _, local) in zip(names, found, strict=True):
        widths = _widths(code[symbol], "LDG"), _widths(code[symbol], "STG")
        figures[_short_name(name)] = Figures(int(registers), int(stack) + int(local), *widths)
    return figures


def build() -> str:
    """Build the library, against a CPU torch if need be; what the build reported."""
    os.environ.setdefault(cuda.FORCE, "1")
    return cuda.build(LIBRARY)


def measure() -> dict[str, dict[str, Figures]]:
    """Figures by architecture and kernel."""
    report = build()
    if not LIBRARY.exists():
        raise RuntimeError(report)
    return {f"sm_{n}": read(LIBRARY, n) for n in cuda.ARCHITECTURES}


def violations(found: dict[str, dict[str, Figures]], budget: dict[str, dict[str, int]]) -> list[str]:
    """One line for each rule that a kernel breaks."""
    lines = []
    for architecture, kernels in found.items():
        allowed = budget[architecture]
        lines += [f"{architecture}: {name} is gone" for name in allowed.keys() - kernels.keys()]
        for name, figures in kernels.items():
            place = f"{architecture}: {name}"
            if name not in allowed:
                lines.append(f"{place} is not in the budget")
            elif figures.registers > allowed[name]:
                lines.append(f"{place} takes {figures.registers} registers, budget {allowed[name]}")
            if figures.spilled:
                lines.append(f"{place} spills {figures.spilled} bytes")
            if _WIDE.match(name):
                if 128 not in figures.loads and not any(body in name for body in _NARROW_LOADS):
                    lines.append(f"{place} has no 128-bit load")
                if 128 not in figures.stores and not any(body in name for body in _NARROW_STORES):
                    lines.append(f"{place} has no 128-bit store")
    return lines


def main() -> int:
    """The command line above."""
    if reason := unsupported_reason():
        print(f"CUDA budget: not checked: {reason}.")
        return 0
    found = measure()
    if "--update" in sys.argv:
        budget = {a: {name: f.registers for name, f in sorted(k.items())} for a, k in found.items()}
        BUDGET.write_text(json.dumps(budget, indent=1) + "\n")
    broken = violations(found, json.loads(BUDGET.read_text()))
    for architecture, kernels in found.items():
        registers = [figures.registers for figures in kernels.values()]
        print(f"{architecture}: {len(kernels)} kernels, {min(registers)} to {max(registers)} registers")
    print(*broken, sep="\n")
    print(f"CUDA budget: {'kept' if not broken else f'{len(broken)} violations'}.")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
