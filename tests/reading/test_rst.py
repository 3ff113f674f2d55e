"""reStructuredText: structure kept, marks gone, nothing included."""

import time
from pathlib import Path

import pytest
from laws import assert_lawful, read, shown
from proportion import out_of_proportion

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.rst import RstReader
from citewell.types import BlockKind, Document, Reason, Source

PAGE = """==============
Rotating keys
==============

:Author: Ana
:Version: 3

Keys *must* be **rotated** every `90 days <https://x.example/d>`_, see
``kms rotate`` [#f]_.

.. comment: not shown

Steps
-----

1. Open the :ref:`console <target>`.

   Use SSO.

   - Nested

2. Press *Rotate*::

     kms rotate --all

.. code-block:: python

   rotate(keys)

.. note:: Mind the gap.

.. versionadded:: 2.1
   The ``--all`` option.

.. py:function:: rotate(keys)

   Rotates :class:`~kms.Key` objects.

+------+------+
| Plan | Days |
+======+======+
| Free | 90   |
+------+------+

Term
   What it means.

.. image:: shot.png
   :alt: The page

.. [#f] By law.
"""


def load(content: str) -> Document:
    document = RstReader().read(Source("keys.rst", content.encode()))
    assert_lawful(document)
    return document


def test_structure_of_a_page() -> None:
    document = load(PAGE)
    assert [(b.kind.value, b.level, b.span.of(document.text)) for b in document.blocks] == [
        ("heading", 1, "Rotating keys"),
        ("paragraph", 0, "Author: Ana"),
        ("paragraph", 0, "Version: 3"),
        ("paragraph", 0, "Keys must be rotated every 90 days, see kms rotate 1."),
        ("heading", 2, "Steps"),
        ("list_item", 0, "Open the console.\nUse SSO."),
        ("list_item", 1, "Nested"),
        ("list_item", 0, "Press Rotate:"),
        ("code", 0, "kms rotate --all"),
        ("code", 0, "rotate(keys)"),
        ("paragraph", 0, "Mind the gap."),
        ("paragraph", 0, "2.1 The --all option."),
        ("paragraph", 0, "rotate(keys)"),
        ("paragraph", 0, "Rotates Key objects."),
        ("table", 0, "Plan | Days\nFree | 90"),
        ("list_item", 0, "Term\nWhat it means."),
        ("figure", 0, "The page"),
        ("paragraph", 0, "[1] By law."),
    ]
    assert document.title == "Rotating keys"
    assert document.blocks[-1].heading_path == ()
    assert next(b for b in document.blocks if b.span.of(document.text) == "rotate(keys)").language == "python"
    assert document.account.left_out[Reason.HIDDEN].characters == len("comment:notshown")


def test_links_and_places_are_kept() -> None:
    document = load(PAGE)
    block = document.blocks[3]
    assert [(link.span.of(document.text), link.target) for link in block.links] == [("90 days", "https://x.example/d")]
    assert block.source is not None
    lines = PAGE.split("\n")[block.source.start : block.source.end]
    assert (lines[0][:11], lines[-1][-6:]) == ("Keys *must*", "[#f]_.")


def test_nothing_is_included_and_nothing_raw_passes(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP SECRET")
    text = (
        "words\n\n"
        + "".join(f".. {one}:: {secret}\n\n" for one in ("include", "literalinclude"))
        + f".. csv-table:: t\n   :file: {secret}\n\n.. raw:: html\n   :file: {secret}\n\n.. raw:: html\n\n   <script>x</script>\n"  # noqa: E501
    )
    document = load(text)
    assert "TOP SECRET" not in document.text
    assert "words" in document.text


def test_tables_of_contents_go_and_unknown_directives_keep_their_words() -> None:
    text = ".. toctree::\n   :maxdepth: 2\n\n   a/b\n\n.. contents::\n\n.. odd:thing:: Title words\n   :opt: 1\n\n   Inner words.\n\nSee :odd:`shown`.\n"  # noqa: E501
    assert shown(load(text)) == ["Title words", "Inner words.", "See shown."]


def test_broken_markup_keeps_its_words() -> None:
    text = "Title\n==\n\nA *broken line and `another.\n\n| a\n\n======  ==\nbad table\n\n.. image::\n\n  x\n"
    words = " ".join(shown(load(text)))
    for word in ("Title", "broken", "another", "bad table"):
        assert word in words


def test_definitions_and_merged_cells() -> None:
    document = load("=====  =====  ===\n    A        B\n------------  ---\n one    two    3\n=====  =====  ===\n")
    assert [b.kind for b in document.blocks] in ([BlockKind.TABLE], [BlockKind.CODE], [BlockKind.PARAGRAPH])
    assert "one" in document.text


@pytest.mark.parametrize("content", ["* " * 5000 + "x", "> " * 3000, "".join(" " * n + "x\n\n" for n in range(1500))])
def test_deep_nesting_is_read_or_refused(content: str) -> None:
    try:
        document = RstReader().read(Source("x.rst", content.encode()))
    except ReadError as error:
        assert error.kind in ("limit_exceeded", "no_text")  # noqa: PT017 - both outcomes are fine
    else:
        assert_lawful(document)


def test_it_is_read_through_the_dispatcher() -> None:
    assert read(PAGE, "keys.rst").reader == versions.RST


def test_paragraphs_take_time_in_proportion() -> None:
    def seconds(size: int) -> float:
        start = time.process_time()
        RstReader().read(Source("x.rst", ("word *c* **e** ``d`` :x:`y`\n\n" * (size // 29)).encode()))
        return time.process_time() - start

    assert not out_of_proportion(seconds, 10_000)
