"""How what is inside one document looks: what was kept and what was not, its blocks, its figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from citewell.cli.plain import line
from citewell.cli.show.layout import count, heading, indented, table

if TYPE_CHECKING:
    from citewell.cli.screen import Screen
    from citewell.protocols import Contents
    from citewell.types import Account, Block

BLOCKS = 40
"""So many blocks are shown unless all are asked for."""

_UNITS = ("characters", "cells", "images", "pages")


def show_contents(screen: Screen, contents: Contents, text: str, blocks: Sequence[Block], *, every: bool) -> None:
    """Print the account, the figures and the blocks of one document."""
    if contents.account.found:
        screen.show("", heading("What was found in it"), indented(account_table(contents.account)))
    if contents.assets:
        made = table(("image", "fold"), "type", ("pixels", "right"), ("bytes", "right"), "place", ("says", "fold"))
        for asset in contents.assets:
            made.add_row(
                line(asset.name) or asset.id[:12],
                line(asset.media_type),
                f"{asset.width} x {asset.height}" if asset.width else "",
                f"{len(asset.content):,}",
                ", ".join(f"p. {page}" for page in dict.fromkeys(region.page for region in asset.regions)),
                _start(asset.alt or (f"[{asset.described_by}] {asset.description}" if asset.description else "")),
            )
        screen.show("", heading("Figures"), indented(made))
    shown = blocks if every else blocks[:BLOCKS]
    made = table(("block", "right"), "kind", "place", "flags", ("text", "fold"))
    for number, block in enumerate(shown, 1):
        made.add_row(str(number), _kind(block), _place(block), _flags(block), _start(block.span.of(text)))
    screen.show("", heading("Blocks"), indented(made))
    if len(shown) < len(blocks):
        screen.show(Text(f"… and {count(len(blocks) - len(shown), 'block')} more: --all lists them.", style="dim"))


def account_table(account: Account) -> Any:
    """A row a unit: what was found, how much of it was kept, and what was left out for which reason."""
    reasons = list(account.left_out)
    made = table(
        "", ("found", "right"), ("kept", "right"), *((str(reason).replace("_", " "), "right") for reason in reasons)
    )
    for unit in _UNITS:
        found: int = getattr(account.found, unit)
        if not found:
            continue
        kept: int = getattr(account.kept, unit)
        left = [getattr(account.left_out[reason], unit) for reason in reasons]
        share = Text(f"{kept:,} ({_percent(kept, found)})", style="" if kept == found else "bold")
        made.add_row(unit, f"{found:,}", share, *(f"{one:,}" if one else "" for one in left))
    return made


def contents_json(contents: Contents | None, text: str, blocks: Sequence[Block]) -> dict[str, Any]:
    """Account, figures (without their bytes) and blocks with their text, as `--json` prints them."""
    if contents is None:
        return {"account": None, "figures": [], "blocks": []}
    figures = [
        {
            "id": asset.id,
            "media_type": asset.media_type,
            "bytes": len(asset.content),
            "width": asset.width,
            "height": asset.height,
            "name": asset.name,
            "alt": asset.alt,
            "description": asset.description,
            "described_by": asset.described_by,
            "span": asset.span,
            "regions": asset.regions,
        }
        for asset in contents.assets
    ]
    listed = [
        {
            "kind": block.kind,
            "text": block.span.of(text),
            "span": block.span,
            "level": block.level,
            "heading_path": block.heading_path,
            "regions": block.regions,
            "source": block.source,
            "boilerplate": block.boilerplate,
            "hidden": block.hidden,
            "confidence": block.confidence,
            "language": block.language,
            "links": block.links,
            "figure": block.asset,
            "cells": len(block.cells),
        }
        for block in blocks
    ]
    return {"account": contents.account, "figures": figures, "blocks": listed}


def _percent(part: int, whole: int) -> str:
    # Rounded down: what is not all is never shown as 100 %.
    return f"{1000 * part // whole / 10:g} %"


def _kind(block: Block) -> str:
    kind = str(block.kind).replace("_", " ")
    if block.cells:
        rows = max(cell.row + cell.row_span for cell in block.cells)
        return f"{kind} {rows} x {max(cell.column + cell.column_span for cell in block.cells)}"
    return f"{kind} {block.level}" if block.level else kind


def _place(block: Block) -> str:
    if block.regions:
        return "p. " + ", ".join(dict.fromkeys(str(region.page) for region in block.regions))
    return line(block.source.said) if block.source is not None else ""


def _flags(block: Block) -> str:
    flags = [name for name, on in (("hidden", block.hidden), ("boilerplate", block.boilerplate)) if on]
    if block.confidence is not None:
        flags.append(f"{100 * block.confidence:.0f} % sure")
    if block.links:
        flags.append(count(len(block.links), "link"))
    if block.asset:
        flags.append("figure")
    return ", ".join(flags)


def _start(text: str) -> str:
    said = line(text)
    return said if len(said) <= 100 else said[:99] + "…"
