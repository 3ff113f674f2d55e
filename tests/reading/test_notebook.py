"""Notebooks: prose, code and results in their order; a broken cell costs only itself."""

import base64
import json
from typing import Any

import pytest
from image_samples import PNG
from laws import assert_lawful, shown

from citewell.errors import ReadError
from citewell.reading.detect import detect
from citewell.reading.formats import NOTEBOOK
from citewell.reading.notebook import NotebookReader
from citewell.types import BlockKind, Document, Reason, Source

IMAGE = base64.b64encode(PNG).decode()


def code(source: Any, *outputs: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": {}}


def result(**data: Any) -> dict[str, Any]:
    return {"output_type": "execute_result", "data": {name.replace("_", "/", 1): value for name, value in data.items()}}


def notebook(*cells: Any, **more: Any) -> bytes:
    return json.dumps({"cells": list(cells), "nbformat": 4, "nbformat_minor": 5, **more}).encode()


def load(*cells: Any, **more: Any) -> Document:
    document = NotebookReader().read(Source("n.ipynb", notebook(*cells, **more)))
    assert_lawful(document)
    return document


def test_structure_of_a_notebook() -> None:
    document = load(
        {"cell_type": "markdown", "source": ["# Rotation\n", "\n", "See [docs](https://x.example/d)."]},
        code(
            ["import keys\n", "keys.rotate()"], {"output_type": "stream", "name": "stdout", "text": ["done\n", "ok\n"]}
        ),
        {"cell_type": "markdown", "source": "## Result"},
        code("table", result(text_plain="a b", text_html="<table><tr><th>a<th>b<tr><td>1<td>2</table>")),
        code("%%bash\nls", result(text_plain="'x'")),
        metadata={"language_info": {"name": "Python"}},
    )
    assert [(b.kind.value, b.span.of(document.text), b.language) for b in document.blocks] == [
        ("heading", "Rotation", None),
        ("paragraph", "See docs.", None),
        ("code", "import keys\nkeys.rotate()", "python"),
        ("code", "done\nok", None),
        ("heading", "Result", None),
        ("code", "table", "python"),
        ("table", "a | b\n1 | 2", None),
        ("code", "%%bash\nls", "shell"),
        ("code", "'x'", None),
    ]
    assert document.blocks[-1].heading_path == ("Rotation", "Result")
    assert document.blocks[1].links[0].target == "https://x.example/d"
    place = document.blocks[-1].source
    assert place is not None
    assert (place.start, place.unit) == (4, "cells")


def test_a_notebook_is_told_by_its_name_or_by_what_is_in_it() -> None:
    assert detect(notebook(code("x = 1")), "a.ipynb") == NOTEBOOK
    assert detect(notebook(code("x = 1")), "data.json") == NOTEBOOK


def test_images_are_assets_whether_shown_or_attached() -> None:
    attached = {
        "cell_type": "markdown",
        "source": "![A key](attachment:k.png)",
        "attachments": {"k.png": {"image/png": IMAGE}},
    }
    document = load(
        code("plot()", result(image_png=[IMAGE], text_plain="<Figure size 1x1>")), code("b", result(image_png="!no"))
    )
    assert [one.content for one in document.assets] == [PNG]
    assert document.account.left_out[Reason.UNREADABLE].images == 1
    assert "Figure size" not in document.text
    assert [(one.alt, one.content) for one in load(attached).assets] == [("A key", PNG)]


def test_errors_and_warnings_of_a_run_are_boilerplate_without_colours() -> None:
    error = {"output_type": "error", "ename": "KeyError", "evalue": "\x1b[31m'k'\x1b[0m", "traceback": ["x"]}
    stderr = {"output_type": "stream", "name": "stderr", "text": "10%\r50%\r100%\n"}
    document = load(code("boom()", error, stderr))
    assert shown(document) == ["boom()"]
    assert [b.span.of(document.text) for b in document.blocks if b.boilerplate] == ["KeyError: 'k'", "100%"]


def test_long_outputs_are_cut_in_their_middle() -> None:
    document = load(
        code("log()", {"output_type": "stream", "name": "stdout", "text": "start " + "x" * 100_000 + " end"})
    )
    said = document.blocks[-1].span.of(document.text)
    assert len(said) < 21_000
    assert said.startswith("start")
    assert said.endswith("end")
    assert document.account.left_out[Reason.BOILERPLATE].characters > 70_000


@pytest.mark.parametrize("broken", [7, None, "x", {}, {"cell_type": "markdown"}, {"cell_type": "markdown", "source": [1]},  # noqa: E501
                                    code("a", 5), code("a", {"output_type": "stream"}), code("a", result(text_plain={}))])  # fmt: skip  # noqa: E501
def test_a_broken_cell_costs_only_itself(broken: Any) -> None:
    assert "kept" in load(broken, {"cell_type": "markdown", "source": "kept"}).text


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"{", "corrupt"), (b'{"cells": 5, "nbformat": 4}', "unsupported_type"), (b"[1]", "unsupported_type"),
     (b'{"cells":' + b"[" * 100_000, "limit_exceeded"), (b'{"cells": [], "nbformat": 4}', "no_text")],
)  # fmt: skip
def test_what_is_no_notebook_is_refused_with_its_kind(content: bytes, kind: str) -> None:
    with pytest.raises(ReadError) as caught:
        NotebookReader().read(Source("n.ipynb", content))
    assert caught.value.kind == kind


def test_old_notebooks_are_read_too() -> None:
    old = {"nbformat": 3, "worksheets": [{"cells": [
        {"cell_type": "heading", "level": 2, "source": "Old"},
        {"cell_type": "code", "input": "1+1", "outputs": [{"output_type": "pyout", "text": "2"}]},
    ]}]}  # fmt: skip
    document = NotebookReader().read(Source("n.ipynb", json.dumps(old).encode()))
    assert [(b.kind, b.span.of(document.text)) for b in document.blocks] == [
        (BlockKind.HEADING, "Old"), (BlockKind.CODE, "1+1"), (BlockKind.CODE, "2"),
    ]  # fmt: skip
