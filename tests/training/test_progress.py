from __future__ import annotations

import io

import pytest

from deepgen_fast.training.report import progress
from deepgen_fast.training.report.progress import Bar, Lines, Silent, build_progress, format_seconds

RECORD = {
    "epoch": 1,
    "step": 10,
    "train_loss": 123.456,
    "train_log_likelihood": -100.0,
    "train_kl": 23.456,
    "examples_per_second": 4321.0,
    "validation_loss": 130.0,
    "best": True,
}


def test_lines_are_complete_and_not_too_many(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start(0, 100, 10)
    for epoch in range(1, 11):
        now[0] += 1.0
        lines.epoch_ended({**RECORD, "epoch": epoch, "step": 10 * epoch})
    written = stream.getvalue().splitlines()
    assert [line.split()[1] for line in written] == ["1/10", "3/10", "5/10", "7/10", "9/10", "10/10"]
    assert written[0] == (
        "epoch 1/10  loss 123.46 (log p(x|z) -100.00, KL 23.46)  validation 130.00*  4321 examples/s  ETA 0:00:09"
    )
    assert "ETA" not in written[-1]


def test_the_eta_counts_from_where_a_resumed_run_began(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start(80, 100, 10)
    now[0] = 5.0
    lines.epoch_ended({**RECORD, "epoch": 9, "step": 90})
    assert stream.getvalue().endswith("ETA 0:00:05\n")


def test_the_bar_shows_epoch_steps_and_summary():
    stream = io.StringIO()
    bar = Bar(stream)
    bar.start(0, 20, 2)
    bar.advance(5, 1)
    bar.epoch_ended(RECORD)
    bar.message("[not markup]")
    bar.close()
    text = stream.getvalue()
    for part in ("epoch 1/2", "10/20", "ETA", "loss 123.46  validation 130.00"):
        assert part in text
    assert "[not markup]" in text


def test_kinds(monkeypatch):
    assert isinstance(build_progress("none"), Silent)
    assert isinstance(build_progress("bar"), Bar)
    for terminal, kind in ((True, Bar), (False, Lines)):
        monkeypatch.setattr(progress.sys.stderr, "isatty", lambda terminal=terminal: terminal)
        assert isinstance(build_progress("auto"), kind)
    with pytest.raises(ValueError, match="progress: expected 'auto', 'bar', 'lines' or 'none', got 'loud'"):
        build_progress("loud")


def test_format_seconds():
    assert [format_seconds(value) for value in (0.4, 61, 3661.2, -3)] == ["0:00:00", "0:01:01", "1:01:01", "0:00:00"]
