"""A native build that fails leaves its error in the package; who required it sees the installation fail."""

from __future__ import annotations

import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from checkouts import ERROR

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the compilers of these tests are shell scripts")

LIBRARY = f"_C{EXTENSION_SUFFIXES[0]}"
INPLACE = ("build_ext", "--inplace")


def test_the_compilers_error_is_kept_and_shown(checkout, failing) -> None:
    done = checkout.setup(*INPLACE, cxx=failing)
    assert done.returncode == 0, done.stderr
    assert ERROR in done.stderr  # for whoever looks at the build
    reason, _, said = checkout.record.read_text().partition("\n")
    assert reason == f"the compiler failed: {ERROR}"
    assert ERROR in said and str(failing) in said
    report = checkout.python("import deepgen_fast; print(deepgen_fast.doctor())")
    assert report.returncode == 0, report.stderr
    assert f"it was not built: the compiler failed: {ERROR}; the plain torch reference" in report.stdout
    assert f"(all of it: {checkout.record})" in report.stdout
    assert f"cd '{checkout.folder}' && DEEPGEN_FAST_BUILD_CPU=1 python setup.py build_ext --inplace" in report.stdout
    assert not report.stderr  # a report does not warn


def test_who_requires_the_library_sees_the_build_fail(checkout, failing, tmp_path) -> None:
    done = checkout.setup(*INPLACE, cxx=failing, DEEPGEN_FAST_BUILD_CPU="1")
    assert done.returncode != 0 and ERROR in done.stderr
    assert checkout.record.read_text().startswith("the compiler failed")
    for command in (INPLACE, ("build_py",)):
        done = checkout.setup(*command, cxx=tmp_path / "nothing", DEEPGEN_FAST_BUILD_CPU="1")
        assert done.returncode != 0, command
        assert "DEEPGEN_FAST_BUILD_CPU=1, but the CPU library cannot be built: no C++ compiler" in done.stderr


def test_an_unknown_wish_is_named(checkout, failing) -> None:
    done = checkout.setup(*INPLACE, cxx=failing, DEEPGEN_FAST_BUILD_CPU="yes")
    assert done.returncode != 0
    assert "DEEPGEN_FAST_BUILD_CPU must be 0 (leave the CPU library out), 1 (fail without it)" in done.stderr


def test_what_was_never_tried_is_recorded_too(checkout, failing, tmp_path) -> None:
    assert checkout.setup(*INPLACE, cxx=tmp_path / "nothing").returncode == 0
    assert checkout.record.read_text().startswith("no C++ compiler: ")
    assert checkout.setup(*INPLACE, cxx=failing, DEEPGEN_FAST_BUILD_CPU="0").returncode == 0
    assert checkout.record.read_text() == "DEEPGEN_FAST_BUILD_CPU=0 left it out\n"
    # A library of an earlier build stays, and stays in use.
    checkout.record.unlink()
    (checkout.package / LIBRARY).touch()
    assert checkout.setup(*INPLACE, cxx=failing, DEEPGEN_FAST_BUILD_CPU="0").returncode == 0
    assert (checkout.package / LIBRARY).exists() and not checkout.record.exists()


def test_a_build_that_succeeds_clears_the_record_and_one_that_fails_the_old_library(
    checkout, failing, succeeding, tmp_path
) -> None:
    checkout.setup(*INPLACE, cxx=failing)
    assert checkout.record.exists()
    done = checkout.setup(*INPLACE, cxx=succeeding)
    assert done.returncode == 0, done.stderr
    assert (checkout.package / LIBRARY).exists() and not checkout.record.exists()
    report = checkout.python("from deepgen_fast import native; print(native.CPU_UNAVAILABLE)")
    assert report.stdout.startswith("the library deepgen_fast._C does not load: ")
    # Of OpenMP nothing is used: threads are torch's. Compilers that lack it build the library all the same.
    arguments = (tmp_path / "arguments").read_text()
    assert "-std=c++20" in arguments and "openmp" not in arguments
    assert not [path for path in (checkout.folder / "csrc").rglob("*.*") if "#pragma omp" in path.read_text()]

    (checkout.folder / "csrc" / "cpu" / "dispatch.cpp").write_text("changed")
    checkout.setup(*INPLACE, cxx=failing)
    assert checkout.record.exists() and not (checkout.package / LIBRARY).exists()
    assert not list((checkout.folder / "build").rglob(LIBRARY))  # or the next wheel would hold it


@pytest.mark.parametrize("wish", ["", "0"])
def test_a_wheel_holds_the_record(checkout, failing, wish) -> None:
    done = checkout.setup("bdist_wheel", cxx=failing, DEEPGEN_FAST_BUILD_CPU=wish)
    assert done.returncode == 0, done.stderr
    (wheel,) = (checkout.folder / "dist").glob("*.whl")
    reason = zipfile.ZipFile(wheel).read("deepgen_fast/_not_built.txt").decode()
    assert reason.startswith("DEEPGEN_FAST_BUILD_CPU=0" if wish else f"the compiler failed: {ERROR}")
    assert not checkout.record.exists()  # the checkout itself is as it was


def test_long_output_is_cut_in_its_middle(tmp_path: Path) -> None:
    from build_support import record

    record.write(tmp_path, record.CPU, "reason", "first error\n" + "x" * 10**6 + "\nlast")
    text = (tmp_path / record.CPU).read_text()
    assert len(text) < 201_000 and text.startswith("reason\nfirst error\n") and text.endswith("\nlast")
