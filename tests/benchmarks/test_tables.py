"""The report's tables on made-up figures."""

from __future__ import annotations

import pytest

pytest.importorskip("rich")
pytest.importorskip("pydantic")

from benchmarks.cases import OPS, PHASES, cases
from benchmarks.results import CandidateResult, EpochResult, OpResult, ParityResult, Report, Spread
from benchmarks.tables import report_markdown, seconds, spread, verdict


def timed(milliseconds: float) -> CandidateResult:
    around = Spread.of([milliseconds * 1e-3 * factor for factor in (0.9, 1.0, 1.1)])
    return CandidateResult(seconds=dict.fromkeys(PHASES, around), peak_bytes=3 << 20)


def op_result(**candidates: CandidateResult) -> OpResult:
    floors = {phase: {"bandwidth": 2e-4, "arithmetic": 5e-4, "call": 1e-4} for phase in PHASES}
    named = {"torch.compile" if name == "compiled" else name: result for name, result in candidates.items()}
    return OpResult(op="op", variant="", shape=(128, 32), target=2.0, candidates=named, floors=floors)


def rows(text: str, start: str) -> list[list[str]]:
    """Cells of the table rows that begin with ``start``."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith(f"| {start}")
    ]


def test_speedup_is_over_the_better_of_the_others() -> None:
    result = op_result(eager=timed(6.0), compiled=timed(4.0), deepgen_fast=timed(2.0))
    assert result.speedup() == pytest.approx(2.0)
    assert result.binds() == "arithmetic"


def test_failed_competitor_leaves_the_other() -> None:
    result = op_result(eager=timed(6.0), compiled=CandidateResult(error="failed: no"), deepgen_fast=timed(2.0))
    assert result.speedup() == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("speedup", "expected"), [(2.0, "met"), (1.996, "met"), (1.99, "**missed**"), (None, "not measured")]
)
def test_verdict(speedup: float | None, expected: str) -> None:
    assert verdict(speedup, 2.0) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.234, "1.23 s"), (0.0567, "56.7 ms"), (3.4567e-5, "34.6 µs"), (0.1234, "123 ms"), (4.5e-7, "0.450 µs")],
)
def test_seconds(value: float, expected: str) -> None:
    assert seconds(value) == expected


def test_spread_shows_median_and_quantiles() -> None:
    assert spread(Spread.of([1e-3 * n for n in range(1, 7)])) == "3.50 ms (2.00 ms to 5.00 ms)"


def test_report_shows_wins_losses_and_refusals() -> None:
    won = op_result(eager=timed(6.0), compiled=timed(4.0), deepgen_fast=timed(2.0))
    lost = op_result(eager=timed(6.0), compiled=timed(1.0), deepgen_fast=timed(2.0)).model_copy(
        update={"shape": (1, 7)}
    )
    wrong = op_result(
        eager=CandidateResult(error="not timed: nothing to compare with"),
        compiled=CandidateResult(error="not timed: nothing to compare with"),
        deepgen_fast=CandidateResult(error="not timed, wrong result: output 0"),
    ).model_copy(update={"shape": (5, 5)})
    text = report_markdown(Report(environment={"threads": "2"}, ops=[won, lost, wrong]), ["speedups.svg"])
    assert rows(text, "(128, 32)")[0][4:7] == ["x2.00", "x2", "met"]
    assert rows(text, "(1, 7)")[0][4:7] == ["x0.50", "x2", "**missed**"]
    assert rows(text, "(1, 7)")[0][-1] == "arithmetic"
    refused = rows(text, "(5, 5)")[0]
    assert refused[3] == "not timed, wrong result: output 0" and refused[6] == "not measured"
    assert "![speedups.svg](speedups.svg)" in text


def epoch(candidate: str, value: float | None, skipped: str | None = None) -> EpochResult:
    return EpochResult(
        candidate=candidate,
        precision="float32",
        validation=True,
        seconds=None if value is None else Spread.of([value]),
        skipped=skipped,
    )


def test_epochs_against_their_targets() -> None:
    epochs = [epoch("pythae", 0.6), epoch("eager loop", 0.22), epoch("VAETrainer", 0.2)]
    text = report_markdown(Report(epochs=epochs))
    assert ["VAETrainer", "pythae", "x3.00", "x2.5", "met"] in rows(text, "VAETrainer")
    assert ["VAETrainer", "eager loop", "x1.10", "x1.15", "**missed**"] in rows(text, "VAETrainer")


def test_skipped_trainer_is_shown_with_its_reason() -> None:
    text = report_markdown(Report(epochs=[epoch("pythae", None, "skipped: not installed"), epoch("VAETrainer", 0.2)]))
    assert rows(text, "pythae")[0][2] == "skipped: not installed"
    assert rows(text, "VAETrainer")[0][-1] == "not measured"


def test_parity_compares_means_with_the_range_of_seeds() -> None:
    parity = [
        ParityResult(candidate="VAETrainer", seeds=[0, 1], elbos=[-110.0, -112.0]),
        ParityResult(candidate="eager loop", seeds=[0, 1], elbos=[-111.0, -112.5]),
        ParityResult(candidate="pythae", seeds=[0, 1], elbos=[-120.0, -121.0]),
    ]
    text = report_markdown(Report(parity=parity, parity_epochs=3))
    assert rows(text, "eager loop")[0][-2:] == ["-0.75", "equal"]
    assert rows(text, "pythae")[0][-1] == "**differs**"


def test_report_survives_its_file(tmp_path) -> None:
    report = Report(
        environment={"threads": "2"},
        ops=[op_result(eager=timed(6.0), compiled=timed(4.0), deepgen_fast=timed(2.0))],
        epochs=[epoch("pythae", None, "skipped")],
        parity=[ParityResult(candidate="VAETrainer", seeds=[0], elbos=[-100.0])],
    )
    report.write(tmp_path / "results.json")
    assert Report.read(tmp_path / "results.json") == report
    assert Report.read(tmp_path / "none.json") == Report()


def test_every_operator_has_cases_with_distinct_names() -> None:
    names = [case.name for op in OPS for case in cases(op)]
    assert len(set(names)) == len(names) and all(cases(op) for op in OPS)
