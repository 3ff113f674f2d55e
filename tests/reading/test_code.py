"""Source code: a block for each definition, under its name, and not a character changed."""

import time

import pytest
from laws import assert_lawful, read
from proportion import out_of_proportion

from citewell.errors import ReadError
from citewell.reading import symbols as grammar
from citewell.reading import versions
from citewell.reading.code import CodeReader
from citewell.reading.detect import detect
from citewell.types import BlockKind, Document, Source

pytest.importorskip("tree_sitter_python")

PYTHON = '''"""Keys."""

import os

LIMIT = 90  # days


# How old a key may be.
def age(key):
    """In days."""
    return key.days


@dataclass
class Key:
    """One key."""

    days: int = 0

    # Made new.
    @property
    def fresh(self):
        return self.days == 0

    class Inner:
        def größe(self):
            return "ä"


if __name__ == "__main__":
    print(age(Key()))
'''
SAMPLES = {
    "a.js": ("class A {\n  m() { return 1 }\n}\nexport function f(a) {\n  return a\n}\nconst g = (x) => x\n", ["A", "A.m", "f", "g"]),  # noqa: E501
    "a.ts": ("export interface I { a: number }\nexport class C<T> {\n  run(): void {}\n}\nnamespace N { function h() {} }\n", ["I", "C", "C.run", "N", "N.h"]),  # noqa: E501
    "a.tsx": ("export const View = () => <p>x</p>\n", ["View"]),
    "A.java": ("package p;\n/** Doc. */\npublic class A {\n  int x;\n  A() {}\n  int f() { return x; }\n  enum E { ONE }\n}\n", ["A", "A.A", "A.f", "A.E"]),  # noqa: E501
    "a.c": ("#include <a.h>\nstruct s { int a; };\nstatic char *f(int a) {\n  return 0;\n}\n", ["s", "f"]),
    "a.cpp": ("namespace n {\nclass A {\n public:\n  int f() { return 1; }\n};\n}\nint n::A::g() { return 2; }\ntemplate <class T> T h(T t) { return t; }\n", ["n", "n.A", "n.A.f", "n.A.g", "h"]),  # noqa: E501
    "a.go": ("package p\n\n// T is a type.\ntype T struct{ a int }\n\nfunc (t *T) M() int { return t.a }\n\nfunc F() {}\n", ["T", "T.M", "F"]),  # noqa: E501
    "a.rs": ("struct S { a: i32 }\nimpl<T> Tr for S {\n    fn f(&self) -> i32 { self.a }\n}\nmod m { pub fn g() {} }\n", ["S", "S.f", "m", "m.g"]),  # noqa: E501
    "a.cs": ("namespace N {\n  class A {\n    int P { get; set; }\n    void F() {}\n  }\n}\n", ["N", "N.A", "N.A.P", "N.A.F"]),  # noqa: E501
    "a.rb": ("module M\n  class A\n    # Doc.\n    def f\n      1\n    end\n    def self.g; end\n  end\nend\n", ["M", "M.A", "M.A.f", "M.A.g"]),  # noqa: E501
    "a.php": ("<?php\nclass A {\n  function f() { return 1; }\n}\nfunction g() {}\n", ["A", "A.f", "g"]),
    "a.sh": ("#!/bin/sh\nset -e\nrotate() {\n  echo 1\n}\nrotate\n", ["rotate"]),
    "a.sql": ("-- Keys.\nCREATE TABLE IF NOT EXISTS app.keys (id int, s text DEFAULT ';');\nSELECT 1;\nCREATE OR REPLACE FUNCTION f() RETURNS int AS $$ BEGIN; END; $$;\n", ["app.keys", "f"]),  # noqa: E501
}  # fmt: skip


def code(content: str, uri: str = "keys.py") -> Document:
    document = CodeReader().read(Source(uri, content.encode()))
    assert_lawful(document)
    assert document.text == content
    return document


def test_each_definition_is_a_block_with_its_comments_under_its_name() -> None:
    document = code(PYTHON)
    found = [(b.heading_path, b.span.of(document.text).strip().split("\n")[0]) for b in document.blocks]
    assert found == [
        ((), '"""Keys."""'),
        (("age",), "# How old a key may be."),
        (("Key",), "@dataclass"),
        (("Key.fresh",), "# Made new."),
        (("Key.Inner",), "class Inner:"),
        (("Key.Inner.größe",), "def größe(self):"),
        ((), 'if __name__ == "__main__":'),
    ]
    assert {b.kind for b in document.blocks} == {BlockKind.CODE}
    assert {b.language for b in document.blocks} == {"python"}
    assert document.title == "keys.py"


def test_blocks_know_their_bytes() -> None:
    document = code(PYTHON)
    raw = PYTHON.encode()
    for block in document.blocks:
        assert block.source is not None
        assert raw[block.source.start : block.source.end].decode() == block.span.of(document.text)


@pytest.mark.parametrize("uri", SAMPLES)
def test_the_common_languages_name_their_symbols(uri: str) -> None:
    content, names = SAMPLES[uri]
    document = code(content, uri)
    found = [block.heading_path[0] for block in document.blocks if block.heading_path]
    assert list(dict.fromkeys(found)) == names
    assert detect(content.encode(), uri).startswith("text/x-")


def test_a_language_without_a_grammar_is_cut_at_blank_lines() -> None:
    content = "\n\n".join(f"fun f{n}() {{\n  {'x' * 400}\n}}" for n in range(8))
    document = code(content, "a.kt")
    assert 2 <= len(document.blocks) < 8
    assert all(block.heading_path == () for block in document.blocks)


def test_without_the_grammar_the_code_is_read_and_the_lack_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(grammar._GRAMMARS, "python", ("tree_sitter_not_there", "language"))
    document = code(PYTHON)
    assert document.warnings == (
        "Definitions were not told apart: tree_sitter_not_there is not installed. Install citewell[code].",
    )


@pytest.mark.parametrize(
    "content", ["def f(:\n  x = (\n\nclass\n", "}}}}{{{{", "\u2028 = 'ä\n", "class A:\n" + "  def f(self): pass\r\n"]
)
def test_broken_code_is_read_all_the_same(content: str) -> None:
    document = CodeReader().read(Source("a.py", content.encode()))
    assert_lawful(document)


def test_code_of_nothing_has_no_text() -> None:
    with pytest.raises(ReadError) as caught:
        CodeReader().read(Source("a.py", b"\n \n"))
    assert caught.value.kind == "no_text"


@pytest.mark.parametrize(("uri", "unit"), [("a.py", "def f(): pass\n"), ("a.js", "(function(){"), ("a.py", "[" ), ("a.rb", "class A\n"), ("a.sql", "'"), ("a.sql", "$a$"), ("a.sql", "CREATE "), ("a.py", "# c\n"), ("a.kt", "\n\n"), ("a.cpp", "namespace a {")])  # fmt: skip  # noqa: E501
def test_repeated_code_takes_time_in_proportion(uri: str, unit: str) -> None:
    def seconds(size: int) -> float:
        start = time.process_time()
        CodeReader().read(Source(uri, ("x\n" + unit * (size // len(unit))).encode()))
        return time.process_time() - start

    assert not out_of_proportion(seconds, 10_000)


def test_code_is_read_through_the_dispatcher() -> None:
    assert read(PYTHON, "keys.py").reader == versions.with_grammars(versions.CODE)
    assert read("a: 1\nb: [2]\n", "x.yaml").media_type == "text/x-yaml"
