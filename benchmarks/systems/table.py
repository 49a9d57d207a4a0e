"""The table of what every system shows, in Markdown: ``python -m benchmarks.systems.table``."""

from __future__ import annotations

import json

from benchmarks.systems.acceptance import RESULTS, sentence


def main() -> None:
    print("| system | shows, mean ± standard deviation of the seeds | command |\n|---|---|---|")
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        shows = "<br>".join(sentence(finding) for finding in result["findings"])
        check = f"`python -m benchmarks.systems.{path.stem}`, {sum(result['seconds']) / 60:.0f} min"
        print(f"| {result['title']} | {shows} | `{result['command']}`<br>{check} |")


if __name__ == "__main__":
    main()
