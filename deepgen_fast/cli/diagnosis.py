"""`deepgen-fast doctor`: what is built, loaded, missing, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(plain: Annotated[bool, typer.Option("--plain", help="Plain text, for a bug report.")] = False) -> None:
    """Show versions, kernel libraries, what `auto` picks on this machine, and missing packages with their
    remedy.

    Changes nothing. `python -c "import deepgen_fast as dgf; print(dgf.doctor())"` prints the same without
    this command's packages.

    Examples:

        deepgen-fast doctor

        deepgen-fast doctor --plain > doctor.txt
    """
    from deepgen_fast.diagnosis import doctor as examine

    report = examine()
    if plain:
        print(report)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    marks = {None: Text(""), True: Text("✓", "green"), False: Text("✗", "red")}
    for section in report.sections:
        table = Table(title=section.title, title_justify="left", title_style="bold", show_header=False, box=None)
        for finding in section.findings:
            value = Text("\n".join((finding.value, *finding.details)))
            if finding.remedy:
                value.append(f"\n→ {finding.remedy}", "yellow")
            table.add_row(marks[finding.ok], finding.name, value)
        console.print(table)
        console.print()
