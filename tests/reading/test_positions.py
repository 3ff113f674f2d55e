"""Every span of decoded text leads back to the bytes that hold it, in any encoding and with any newlines."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import read

from citewell.reading.decode import decode
from citewell.reading.positions import Positions
from citewell.testing.place_laws import misplaced
from citewell.types import BlockKind, Source

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252")
WORDS = st.sampled_from(
    ["word", "größer", "Straße", "–", "\n", "\r\n", "\r", "\x0c", "\x0b", "\x02", "\x7f", " ", "é", "\ufeff"]
)
WIDE = st.sampled_from(["日本", "𝕏", "\n", "\r\n", "a", " ", "\x01"])


def plain(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n").replace("\x0c", "\n")
    return re.sub("[\x00-\x08\x0e-\x1f\x7f\ufeff]", "", text)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(words=st.lists(WORDS, min_size=3, max_size=60), wide=st.lists(WIDE, max_size=20), cuts=st.data())
def test_the_bytes_of_a_span_decode_to_its_text(encoding, words, wide, cuts):
    text = "Ein Text mit Worten. " + "".join([*words, *wide] if encoding != "cp1252" else words)
    content = text.encode(encoding, "ignore")
    decoded = decode(content)
    size = len(decoded.text)
    offsets = sorted(cuts.draw(st.lists(st.integers(0, size), min_size=2, max_size=9)))
    spans = list(pairwise(offsets))
    for (start, end), place in zip(spans, Positions(content, decoded).places(spans), strict=True):
        if place.unit == "lines":
            assert "\ufffd" in decoded.text or decoded.encoding not in ("utf-8", "cp1252")
            assert place.start == decoded.text.count("\n", 0, start)
            continue
        found = plain(content[place.start : place.end].decode(decoded.encoding))
        # A cut between the two halves of a line end gives the half.
        assert found.strip("\n") == plain(decoded.text[start:end]).strip("\n")


MARKDOWN = """---
title: Größen
---
# Maße *und* Größen

Ein [Verweis](https://example.org/a) hier,
und [noch ⟨einer⟩](b.md).

- Punkt [eins](c.md)
  geht weiter
- Punkt zwei

| Kopf | [Zahl](d.md) |
| --- | --- |
| ä | 1 |

> Zitat

```python
x = "é"
```
"""
HTML = """<html><body><h1>Maße</h1>
<p>Ein <a href="a.html">Ver&shy;weis</a> hier &amp;
<b>dort</b> und <a href="javascript:x()">nicht</a> <a href="b.html"> da </a>.</p>
<ul><li>Punkt <a href="c.html">eins</a><p>weiter <a href="d.html">so</a></li></ul>
<table><tr><th>Größe<th>2<tr><td>a<td>b</table>
<p>Ende
</body></html>"""
TEXT = "GRÖSSEN\n\nErster Absatz.\nZweite Zeile.\n\nQ: Wie groß?\nA: Sehr.\n\nEnde\n===="
CSV = 'Name,Wert\n"Größe, außen",1\n"zwei\nZeilen",2\n'


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize(("uri", "text"), [("a.md", MARKDOWN), ("a.html", HTML), ("a.txt", TEXT), ("a.csv", CSV)])
def test_every_block_and_cell_can_be_shown_in_the_source(uri, text, encoding, newline):
    content = text.replace("\n", newline).encode(encoding)
    document = read(content, uri)
    assert list(misplaced(document, Source(uri, content))) == []
    assert all(block.source and block.source.unit == "bytes" for block in document.blocks)
    # The places of what is read are not just the whole file.
    assert sum(block.source.end - block.source.start for block in document.blocks) <= 1.7 * len(content)
    for block in document.blocks:
        rows = {cell.source for cell in block.cells if cell.source}
        assert uri != "a.csv" or len(rows) == 3


def links(document, kind=None):
    return [
        (link.span.of(document.text), link.target)
        for block in document.blocks
        for link in block.links
        if kind in (None, block.kind)
    ]


def test_links_keep_their_words_and_their_targets():
    assert links(read(MARKDOWN, "a.md")) == [
        ("Verweis", "https://example.org/a"),
        ("noch ⟨einer⟩", "b.md"),
        ("eins", "c.md"),
        ("Zahl", "d.md"),
    ]
    assert links(read(HTML, "a.html")) == [
        ("Verweis", "a.html"),
        ("da", "b.html"),
        ("eins", "c.html"),
        ("so", "d.html"),
    ]


def test_links_of_an_answer_are_where_its_words_are():
    document = read("Q: What [is](q.md) it?\nA: It  is [this](a.md).\n\n- and [that](b.md)\n", "a.md")
    assert [block.kind for block in document.blocks] == [BlockKind.FAQ]
    assert links(document) == [("this", "a.md"), ("that", "b.md")]
    assert list(misplaced(document, Source("a.md", b"x" * 99))) != []
