"""What every system shows, from the stored results, written anew into the README and the pages of the gallery:
``python -m reproductions.table``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reproductions.acceptance import GALLERY, RESULTS, sentence

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- results: written by reproductions.table -->", "<!-- results end -->"


def minutes(result: dict[str, Any]) -> float:
    """Of all seeds."""
    return sum(result["seconds"]) / 60


def table(results: dict[str, dict[str, Any]]) -> str:
    """A row for each system, of what is expected of it."""
    rows = ["| system | shows, mean ± standard deviation of the seeds | NAME |", "|---|---|---|"]
    for name, result in results.items():
        shows = "<br>".join(sentence(finding) for finding in result["findings"] if finding["bound"] is not None)
        rows.append(f"| [{result['title']}](docs/gallery/{name}.md) | {shows} | `{name}`, {minutes(result):.0f} min |")
    return "\n".join(rows)


def page(name: str, result: dict[str, Any]) -> str:
    """Everything that was measured of a system, and the commands."""
    findings = "\n".join(f"- {sentence(finding)}" for finding in result["findings"])
    seeds, threads = ", ".join(map(str, result["seeds"])), result["environment"]["threads"]
    heading = f"Mean ± standard deviation of seeds {seeds}:"
    check = f"python -m reproductions.{name}   # {minutes(result):.0f} minutes, threads: {threads}"
    return f"{heading}\n\n{findings}\n\n```\n{check}\n{result['command']}\n```"


def fill(path: Path, text: str) -> None:
    """Put the text between a page's marks."""
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> None:
    results = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    fill(README, table(results))
    for name, result in results.items():
        fill(GALLERY / f"{name}.md", page(name, result))


if __name__ == "__main__":
    main()
