"""Sources of every type that Citewell reads, made here: two of each, one small and one with all that the type has."""

from __future__ import annotations

import io
import json
from functools import cache

from citewell.types import Source

PROSE = "The calibration lab in Ghent checks every gauge twice a year, and keeps the record for ten years."

TEXT = f"GAUGES\n\n{PROSE}\n\nQ: How often?\nA: Twice a year.\n\nRecords\n-------\n\n{PROSE}\n"
MARKDOWN = f"""---
title: Gauges
---
# Gauges

{PROSE} **Twice** a year; see [the record](https://example.org/r).

## Limits

- at most 7 bar
- at least 2 bar
  - measured in Ghent

| Gauge | Pressure |
|-------|----------|
| north | 7 bar    |
| south | 2 bar    |

```py
check(gauge)
```

> **Q: How often?**
>
> A: Twice a year.
"""
HTML = f"""<!doctype html><html lang="en"><head><title>Gauges</title><meta name="author" content="Ann"></head><body>
<nav><a href="/">Home</a> <a href="/x">Other</a></nav>
<main><h1>Gauges</h1><p>{PROSE}</p><p style="display:none">Not to be seen.</p><h2>Limits</h2>
<ul><li>at most 7 bar</li><li>at least 2 bar</li></ul>
<table><caption>All gauges</caption><tr><th>Gauge<th>Pressure</tr><tr><td rowspan=2>north<td>7 bar</tr>
<tr><td>2 bar</tr></table><pre>check(gauge)</pre><details><summary>How often?</summary>Twice a year.</details></main>
<footer>Imprint</footer></body></html>"""
CSV = 'Gauge,Pressure,Remark\nnorth,7 bar,"checked, and\nrecorded"\nsouth,2 bar,\n'
FAQ = json.dumps([{"question": "How often?", "answer": PROSE}, {"question": "Where?", "answer": "In Ghent."}])


@cache
def pdf(pages: int) -> bytes:
    """A PDF with headings, prose, a table and running heads on `pages` pages."""
    from reportlab.lib.pagesizes import letter
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

    buffer = io.BytesIO()
    styles = getSampleStyleSheet()
    flow = []
    for number in range(1, pages + 1):
        flow += [Paragraph(f"Part {number}", styles["Heading1"]), Paragraph(PROSE * 3, styles["BodyText"])]
        flow += [
            Table(
                [["Gauge", "Pressure"], ["north", "7 bar"], ["south", "2 bar"]],
                style=[("GRID", (0, 0), (-1, -1), 1, "black")],
            )
        ]
        flow.append(PageBreak())
    SimpleDocTemplate(buffer, pagesize=letter, title="Gauges", invariant=1).build(flow)
    return buffer.getvalue()


@cache
def docx(parts: int) -> bytes:
    """A Word document with headings, prose, a list and a table in each of `parts` parts."""
    from docx import Document

    made = Document()
    made.core_properties.title = "Gauges"
    for number in range(1, parts + 1):
        made.add_heading(f"Part {number}", 1)
        made.add_paragraph(PROSE)
        made.add_paragraph("at most 7 bar", style="List Bullet")
        table = made.add_table(rows=2, cols=2)
        for at, text in enumerate(("Gauge", "Pressure", "north", "7 bar")):
            table.cell(at // 2, at % 2).text = text
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def sources(suffix: str) -> list[Source]:
    """The sources of the type that files with this suffix have."""
    contents = {
        "txt": [TEXT.encode(), b"x", "Łódź, Straße".encode("utf-16")],
        "md": [MARKDOWN.encode(), b"# x"],
        "html": [HTML.encode(), b"<p>x</p>"],
        "csv": [CSV.encode(), b"a;b\n1;2\n3;4\n"],
        "json": [FAQ.encode(), b'{"question": "Why?", "answer": "So."}'],
        "pdf": [pdf(1), pdf(4)],
        "docx": [docx(1), docx(5)],
    }[suffix]
    return [Source(f"file:///gauges-{number}.{suffix}", content) for number, content in enumerate(contents)]
