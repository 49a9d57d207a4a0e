"""Would these tests notice a missing barrier? Each __syncthreads() is taken out in turn, and must be missed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from simt import build

from cuda.kernels import why_no_emulation

pytestmark = pytest.mark.skipif(why_no_emulation() is not None, reason=str(why_no_emulation()))

BARRIER = "__syncthreads();"
HEADERS = (
    "cuda/rows.cuh", "cuda/columns.cuh", "ops/batch_norm_act/channels.cuh", "ops/few_channels/kernels.cuh",
    "ops/minibatch_discrimination/kernels.cuh",
)  # fmt: skip
BARRIERS = [(header, index) for header in HEADERS for index in range((build.CSRC / header).read_text().count(BARRIER))]


def _sums(csrc: Path, folder: Path) -> set[str]:
    """What the kernels of a source tree compute, over several orders of threads."""
    source, driver = Path(__file__).with_name("mutation_driver.cpp"), folder / "driver"
    build.run(build.compile_command(source, folder / "driver.o", ("-O0",), csrc))
    build.run([build.compiler() or "", str(folder / "driver.o"), "-o", str(driver)])
    return {
        subprocess.run([driver, str(schedule)], capture_output=True, text=True, check=True).stdout
        for schedule in range(12)
    }


def test_there_are_barriers_to_remove() -> None:
    sources = [p for p in build.CSRC.rglob("*") if p.suffix in {".cuh", ".cu"}]
    assert sum(path.read_text().count("__syncthreads()") for path in sources) == len(BARRIERS) > 0


def test_intact_kernels_do_not_depend_on_the_order_of_threads(tmp_path: Path) -> None:
    assert len(_sums(build.CSRC, tmp_path)) == 1


@pytest.mark.parametrize(("header", "index"), BARRIERS)
def test_a_removed_barrier_is_noticed(tmp_path: Path, header: str, index: int) -> None:
    csrc = shutil.copytree(build.CSRC, tmp_path / "csrc")
    text = (csrc / header).read_text()
    start = [match.start() for match in re.finditer(re.escape(BARRIER), text)][index]
    (csrc / header).write_text(text[:start] + text[start + len(BARRIER) :])
    assert len(_sums(csrc, tmp_path)) > 1
