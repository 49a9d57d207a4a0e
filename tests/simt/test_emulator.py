"""The emulator itself: it computes what a GPU would, and finds the mistakes that it says it finds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from simt import build

pytestmark = pytest.mark.skipif(build.compiler() is None, reason="no C++ compiler, so no emulated kernels")

SCHEDULES = (0, 1, 2, 3)
THREADS = 96


def _program(folder: Path, flags: tuple[str, ...] = ()) -> Path:
    program = folder / "kernels"
    source = build.EMULATOR / "kernels.cpp"
    build.run([build.compiler() or "", "-std=c++20", "-O1", "-Wno-unknown-pragmas", *flags, str(source),
               "-o", str(program)])  # fmt: skip
    return program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _program(tmp_path_factory.mktemp("simt"))


def _run(program: Path, case: str, schedule: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, case, str(schedule)], capture_output=True, text=True)


def _values(program: Path, case: str, schedule: int) -> list[int]:
    result = _run(program, case, schedule)
    assert result.returncode == 0, result.stdout + result.stderr
    return [int(word) for word in result.stdout.split()]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_barrier_orders_shared_memory(program: Path, schedule: int) -> None:
    expected = [1000 * block + (thread + 1) % THREADS for block in range(2) for thread in range(THREADS)]
    assert _values(program, "rotate", schedule) == expected


def test_a_missing_barrier_shows_in_another_schedule(program: Path) -> None:
    assert _values(program, "race", 0) != _values(program, "race", 1)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_shuffles(program: Path, schedule: int) -> None:
    sums = [sum(range(first, first + 32)) for first in range(0, THREADS, 32)]
    assert _values(program, "warp_sum", schedule)[:THREADS] == [value for value in sums for _ in range(32)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_parts_of_a_warp_exchange_on_their_own(program: Path, schedule: int) -> None:
    expected = [thread - thread % 32 + (5 if thread % 32 < 16 else 21) for thread in range(THREADS)]
    assert _values(program, "half_warps", schedule)[:THREADS] == expected


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("divergent", "40 at __syncthreads(), 0 in warp operations, 56 exited"),
        ("missing_lane", "names lane 7, which has exited"),
        ("outside_mask", "reads a lane outside its mask"),
        ("mixed", "meet in different operations"),
    ],
)
def test_mistakes_are_named(program: Path, case: str, message: str, schedule: int) -> None:
    result = _run(program, case, schedule)
    assert result.returncode == 1
    assert message in result.stdout


def test_address_sanitizer_sees_accesses_out_of_bounds(tmp_path: Path) -> None:
    program = _program(tmp_path, build.SANITIZE)
    assert _values(program, "rotate", 2)
    result = _run(program, "overrun", 2)
    assert result.returncode != 0
    assert "heap-buffer-overflow" in result.stderr
