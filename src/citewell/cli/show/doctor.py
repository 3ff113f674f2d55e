"""How a check-up looks: a line for each check, and under a bad one what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from citewell.cli.plain import line
from citewell.cli.show.layout import count, indented, outcome

if TYPE_CHECKING:
    from citewell.cli.doctor import Check
    from citewell.cli.screen import Screen


def show_checks(screen: Screen, checks: Sequence[Check]) -> None:
    """Print the checks in their order; quiet leaves out those that are ok."""
    for one in checks:
        if one.status == "ok" and screen.quiet:
            continue
        said = Text.assemble(outcome(screen, one.status, line(one.name)), "  ", (line(one.message), "dim"))
        screen.show(said)
        if one.remedy:
            screen.show(indented(Text(f"{screen.sign('arrow')} {line(one.remedy)}"), 4))
    bad = {status: sum(one.status == status for one in checks) for status in ("fail", "warn")}
    if bad["fail"]:
        screen.note("", outcome(screen, "fail", f"{count(bad['fail'], 'problem')}, {count(bad['warn'], 'warning')}"))
    elif bad["warn"]:
        screen.note("", outcome(screen, "warn", f"Works, with {count(bad['warn'], 'warning')}"))
    else:
        screen.note("", outcome(screen, "ok", "All is well"))
