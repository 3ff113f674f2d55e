"""Write the histories that `test_code_versions.py` reads: `python make_histories.py NAME`; they are kept for good.

One file is one run of history_flows.Ship: how it began, its entries as far as it came, and what they came to then.
Add a file when the record's format or the flow changes; never change an old one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from history_flows import Say, Ship, Sure

from citewell.workflow.runs import Runs

FOLDER = Path(__file__).parent / "histories"


async def make(name: str) -> None:
    """A history for each place where the run stops for somebody, and one of the end."""
    with tempfile.TemporaryDirectory() as folder:
        async with Runs(f"{folder}/runs.db", [ship := Ship(timeout=None)], park_after_s=0) as runs:
            handler = await runs.start(ship, run_id="ship", n=3)
            for stage, answer in (("asked", Sure(yes=True)), ("reviewed", Say(yes=False)), ("ended", None)):
                while not handler.is_done() and not await runs.questions():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)
                row, _, entries = await runs.journal.record("ship")
                form = {
                    "start": dataclasses.asdict(row.started),
                    "entries": [entry.to_json() for entry in entries],
                    "pending": [list(one) for one in (await runs.replay("ship")).pending],
                    "state": (await runs.replay("ship")).state,
                    "outcome": None if row.outcome is None else dataclasses.asdict(row.outcome),
                }
                (FOLDER / f"{name}-{stage}.json").write_text(json.dumps(form, indent=1, default=dict) + "\n")
                if answer is not None:
                    await runs.answer("ship", answer)


if __name__ == "__main__":
    asyncio.run(make(sys.argv[1]))
