"""The CPU library under AddressSanitizer and UndefinedBehaviorSanitizer: ``python scripts/sanitize.py``.

Builds it with both in a folder of its own (build/sanitize, with a copy of the package; what ``make build`` has made
stays as it is), runs the operators' tests on each instruction set that this processor has, and prints a table of what
ran and how many reports there were. Fails if there is a report or a test fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
FOLDER = ROOT / "build" / "sanitize"
TREE, OBJECTS, REPORTS = FOLDER / "tree", FOLDER / "objects", FOLDER / "reports"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-omit-frame-pointer")
# Checks of addresses as calls: written out beside each of the kernels' loads, GCC takes many minutes for a source.
AS_CALLS = ("--param", "asan-instrumentation-with-call-threshold=0")
SETS = ("avx2", "avx512", "neon")
# The operators' own tests; torch.compile's generated code and the other backends are not what is examined.
TESTS = ("tests/contract", "tests/ops")
LEFT_OUT = "not compile and not triton and not reference and not example and not instruction_set and not emulated"
#: pytest's exit code where the selection is empty.
NOTHING_SELECTED = 5


def compiler() -> str:
    return os.environ.get("CXX", "g++")


def build() -> Path:
    """The library with sanitizers, in a copy of the package."""
    import sysconfig

    os.chdir(ROOT)
    from build_support import cpu

    extension = cpu.extension()
    OBJECTS.mkdir(parents=True, exist_ok=True)
    swapped = {"-O2": "-O1", "-g0": "-g1"}
    flags = [swapped.get(flag, flag) for flag in extension.extra_compile_args] + [*SANITIZERS, *AS_CALLS, "-fPIC"]
    flags += [f"-I{folder}" for folder in (*extension.include_dirs, sysconfig.get_paths()["include"])]
    flags += [f"-D{name}={value}" for name, value in extension.define_macros]
    newest = max(Path(header).stat().st_mtime for header in extension.depends)

    def compile_one(unit: cpu.Unit) -> str:
        made = OBJECTS / f"{unit.source.replace('/', '_')}.{unit.instruction_set or 'any'}.o"
        if not made.exists() or made.stat().st_mtime < max(newest, Path(unit.source).stat().st_mtime):
            macros = [f"-D{name}" for name, _ in unit.macros()]
            subprocess.run([compiler(), *flags, *macros, "-c", unit.source, "-o", str(made)], check=True)
        return str(made)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, cpu.units(extension.sources)))
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    for name in ("deepgen_fast", "tests", "csrc"):  # copies: the repository may change while tests run
        shutil.copytree(ROOT / name, TREE / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("build_support", "pyproject.toml", "setup.py", "README.md"):
        (TREE / name).symlink_to(ROOT / name)
    library = TREE / "deepgen_fast" / f"_C{sysconfig.get_config_var('EXT_SUFFIX')}"
    libraries = [f"-L{folder}" for folder in extension.library_dirs] + [f"-l{name}" for name in extension.libraries]
    subprocess.run([compiler(), "-shared", *SANITIZERS, *objects, *libraries, "-o", str(library)], check=True)
    return library


def environment(instruction_set: str) -> dict[str, str]:
    """Variables under which a Python that knows nothing of sanitizers loads the library."""

    def runtime(name: str) -> str:
        done = subprocess.run([compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    log = f"log_path={REPORTS}/{instruction_set}"  # a file for each sanitizer: one would write over the other's
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "LD_PRELOAD": f"{runtime('libasan.so')}:{runtime('libubsan.so')}:{runtime('libstdc++.so.6')}",
        # Python and torch keep what they allocate; the tests' own subprocesses inherit the preloaded runtime.
        "ASAN_OPTIONS": f"detect_leaks=0:verify_asan_link_order=0:allocator_may_return_null=1:{log}-address",
        "UBSAN_OPTIONS": f"print_stacktrace=1:{log}-undefined",
        "PYTHONMALLOC": "malloc",
        "DEEPGEN_FAST_ISA": instruction_set,
        "PYTHONPATH": str(TREE),
    }


def reports(instruction_set: str) -> list[str]:
    """The first line of every report."""
    found = []
    for path in REPORTS.glob(f"{instruction_set}-*"):
        found += re.findall(r"ERROR: AddressSanitizer.*|.*runtime error:.*", path.read_text(errors="replace"))
    return found


def run_tests(instruction_set: str, tests: list[str], options: list[str]) -> list[tuple[str, str, bool]]:
    """``(test path, summary, whether all passed)`` of each path; empty where this processor lacks the set."""
    variables = environment(instruction_set)
    asked = "import deepgen_fast.native as n; print(n.cpu_instruction_set(), n.__file__)"
    loaded = subprocess.run([sys.executable, "-c", asked], cwd=TREE, env=variables, capture_output=True, text=True)
    if loaded.returncode:
        raise SystemExit(f"the library does not load under the sanitizers: {loaded.stderr}")
    name, file = loaded.stdout.split()
    assert file.startswith(str(TREE)), file
    if name != instruction_set:
        return []
    rows = []
    for path in tests:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *options, path]
        done = subprocess.run(command, cwd=TREE, env=variables, capture_output=True, text=True)
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        passed = done.returncode in (0, NOTHING_SELECTED)
        if not passed:
            print("\n".join(lines[-60:]), file=sys.stderr)
        rows.append((path, lines[-1], passed))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="*", default=list(TESTS), help="paths under tests (default: %(default)s)")
    parser.add_argument("-k", default=LEFT_OUT, help="pytest's selection (default: %(default)s)")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), help="instruction sets (default: all)")
    arguments = parser.parse_args()
    build()
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    good, ran = True, False
    print(f"{'set':<8}{'tests':<40}result")
    for name in arguments.sets:
        rows = run_tests(name, arguments.tests, ["-k", arguments.k])
        for path, summary, passed in rows:
            print(f"{name:<8}{path:<40}{summary}", flush=True)
            good &= passed
        found = reports(name)
        good &= not found
        ran |= bool(rows)
        print(f"{name:<8}{f'{len(found)} reports' if rows else 'this processor does not run it'}", flush=True)
        for line in dict.fromkeys(found):
            print(f"        {line}")
    return 0 if good and ran else 1


if __name__ == "__main__":
    sys.exit(main())
