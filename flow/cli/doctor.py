"""flow doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    data: Annotated[Path | None, typer.Option(help="Folder to look for datasets in, before $FLOW_DATA.")] = None,
) -> None:
    """Show tools, versions and datasets; for each missing one, how to get it.

    Exits with 1 if something is missing that a build cannot do without.
    """
    from rich.console import Console

    from flow.cli.tables import plain_table
    from flow.tools.doctor import examine

    console = Console()
    findings = examine(data)
    for group in dict.fromkeys(finding.group for finding in findings):
        table = plain_table(group, "", "version or place")
        for finding in findings:
            if finding.group == group:
                state = "ok" if finding.ok else "MISSING" if finding.required else "absent"
                detail = finding.detail if finding.ok else f"{finding.detail}\nget it: {finding.remedy}"
                table.add_row(finding.name, state, detail)
        console.print(table)
        console.print()
    missing = [finding for finding in findings if finding.required and not finding.ok]
    for finding in missing:
        console.print(f"{finding.name}: {finding.detail}. Get it: {finding.remedy}", markup=False, soft_wrap=True)
    if missing:
        raise typer.Exit(1)
    console.print("Everything that a build needs is here.")
