"""The NEON kernels against the x86 kernels, bit for bit: ``python tests/neon/neon_check.py [-O2]``.

Compiles every kernel table and ``driver.cpp`` twice, for AArch64 (cross compiler) and for this x86-64 processor, runs
the first under qemu's user emulation and the second natively, and compares a hash of all outputs of every case. Needs
Debian's packages g++-aarch64-linux-gnu and qemu-user.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
MACROS = {"avx2": "DGF_AVX2", "avx512": "DGF_AVX512", "neon": "DGF_NEON"}  # those of build_support/cpu.py
CROSS, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
# Those of build_support/cpu.py.
FLAGS = (
    *("-std=c++20", "-g0", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
    *("-Wno-psabi", "-Wno-maybe-uninitialized", "-Wno-uninitialized"),
)
# What /proc/cpuinfo says of a processor that runs a set (see csrc/cpu/dispatch.cpp).
X86 = {
    "avx2": {"avx2", "fma", "f16c"},
    "avx512": {"avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512bw", "avx512vl"},
}


def unsupported_reason() -> str | None:
    """The reason why the check cannot run here, or None."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return f"NEON is compared with AVX2 and AVX-512 on x86-64, this is {platform.machine()}"
    missing = [tool for tool in (CROSS, EMULATOR, "g++") if shutil.which(tool) is None]
    return f"not on the PATH: {', '.join(missing)} (g++-aarch64-linux-gnu, qemu-user)" if missing else None


def sources() -> list[Path]:
    """Each operator's kernels."""
    return sorted(CSRC.glob("ops/*/cpu.cpp"))


def runs_here(instruction_set: str) -> bool:
    words = set(Path("/proc/cpuinfo").read_text().split())
    return X86[instruction_set] <= words


def build(folder: Path, compiler: str, instruction_set: str, cross_optimization: str = "-O0") -> Path:
    """The driver with one set's tables; objects that are newer than all sources are kept.

    Args:
        cross_optimization: "-O0" by default: the cross compiler's optimizer takes minutes, and must not change a bit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    headers = [*CSRC.rglob("*.h"), *Path(__file__).parent.glob("*.h")]
    newest = max(path.stat().st_mtime for path in headers)

    def compile_one(source: Path) -> str:
        made = folder / f"{source.parent.name}_{source.stem}.o"
        if not made.exists() or made.stat().st_mtime < max(newest, source.stat().st_mtime):
            optimization = cross_optimization if compiler == CROSS else "-O2"
            options = [optimization, f"-I{CSRC}", f"-DCHECKED_SET={instruction_set}", f"-D{MACROS[instruction_set]}"]
            subprocess.run([compiler, *FLAGS, *options, "-c", str(source), "-o", str(made)], check=True)
        return str(made)

    units = [*sources(), Path(__file__).with_name("driver.cpp")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, units))
    driver = folder / "driver"
    # Static: the emulated program needs no libraries of its processor here.
    subprocess.run([compiler, "-static", *objects, "-o", str(driver)], check=True)
    return driver


def run(command: list[str]) -> dict[str, str]:
    """Hash of each case's outputs."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    lines = [line.rsplit(" ", 1) for line in done.stdout.splitlines()]
    found = dict(lines)
    assert len(found) == len(lines), "two cases of one name"
    return found


def compare(folder: Path = ROOT / "build" / "neon", cross_optimization: str = "-O0") -> tuple[str, bool]:
    """A table of every entry, and whether all cases agree with every x86 set that runs here."""
    emulated = run([EMULATOR, str(build(folder / f"neon{cross_optimization}", CROSS, "neon", cross_optimization))])
    runs = {name: run([str(build(folder / name, "g++", name))]) for name in X86 if runs_here(name)}
    assert emulated and runs, "this processor runs neither AVX2 nor AVX-512"
    text, agree = [f"{'entry':<52}{'cases':>6}  same bits as"], True
    for entry, cases in Counter(case.split(" ")[0] for case in emulated).items():
        words = []
        for name, found in runs.items():
            assert found.keys() == emulated.keys()
            other = [case for case in emulated if case.split(" ")[0] == entry and found[case] != emulated[case]]
            agree &= not other
            words.append(f"{name}: {len(other)} differ, {', '.join(other[:3])}" if other else name)
        text.append(f"{entry:<52}{cases:>6}  {', '.join(words)}")
    absent = [name for name in X86 if name not in runs]
    text.append(f"{len(emulated)} cases" + "".join(f"; {name} does not run here" for name in absent))
    return "\n".join(text), agree


if __name__ == "__main__":
    if reason := unsupported_reason():
        sys.exit(reason)
    table, agree = compare(cross_optimization=sys.argv[1] if len(sys.argv) > 1 else "-O0")
    print(table)
    sys.exit(not agree)
