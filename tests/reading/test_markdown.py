"""Markdown: structure kept, marks gone, nothing lost."""

from laws import read, shown

from citewell.reading import versions
from citewell.types import BlockKind

PAGE = """---
title: "Key rotation"
owner: Ana
priority: 3
tags: [security, keys]
reviewed: 2025-03-01
draft: false
version: 1.2.0
uri: evil
nested:
  a: 1
---

# Rotating keys {#rotate}

Keys *must* be **rotated** every [90 days](https://example.org "why"), see
`kms rotate`.

![The rotation page](shot.png)

## Steps

1. Open the console
   and log in.

   Use SSO.
2. Press *Rotate*
   - for all keys
     ```sh
     kms rotate --all
     ```
- [ ] done

> Never share keys.

| Plan | Days |
|------|-----:|
| Free | 90   |
| **Pro** | 30 \\| 7 |

<div class="note">Ask <b>Security</b> &amp; co.<br>now</div>
"""


def test_structure_of_a_page() -> None:
    document = read(PAGE, "docs/keys.md")
    blocks = [(b.kind.value, b.level, b.heading_path[-1:], b.span.of(document.text)) for b in document.blocks]
    steps = ("Steps",)
    assert blocks == [
        ("heading", 1, (), "Rotating keys"),
        ("paragraph", 0, ("Rotating keys",), "Keys must be rotated every 90 days, see kms rotate."),
        ("figure", 0, ("Rotating keys",), "The rotation page"),
        ("heading", 2, ("Rotating keys",), "Steps"),
        ("list_item", 0, steps, "Open the console and log in.\nUse SSO."),
        ("list_item", 0, steps, "Press Rotate"),
        ("list_item", 1, steps, "for all keys"),
        ("code", 0, steps, "kms rotate --all"),
        ("list_item", 0, steps, "[ ] done"),
        ("paragraph", 0, steps, "Never share keys."),
        ("table", 0, steps, "Plan | Days\nFree | 90\nPro | 30 | 7"),
        ("paragraph", 0, steps, "Ask Security & co. now"),
    ]
    assert document.reader == versions.MARKDOWN
    assert next(b for b in document.blocks if b.kind is BlockKind.CODE).language == "sh"


def test_front_matter_becomes_typed_metadata_and_never_takes_reserved_names() -> None:
    document = read(PAGE, "docs/keys.md")
    assert document.title == "Key rotation"
    told = {key: value for key, value in document.metadata.items() if key != "language"}
    assert told == {
        "owner": "Ana",
        "priority": 3,
        "tags": ("security", "keys"),
        "reviewed": "2025-03-01",
        "draft": False,
        "version_label": "1.2.0",
        "encoding": "utf-8",
    }
    assert any("uri" in warning for warning in document.warnings)
    assert any("a: 1" in warning for warning in document.warnings)


def test_front_matter_lists_on_lines_of_their_own_are_tuples_and_folded_text_is_one_line() -> None:
    document = read("---\ntags:\n  - a\n  - 'b c'\nnote: >\n  one\n  two\n---\ntext", "x.md")
    assert document.metadata["tags"] == ("a", "b c")
    assert document.metadata["note"] == "one two"


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    assert read("---\n\nOne: two words, and a sentence.\n\n---\n\nThree", "x.md").text.startswith("One")


def test_the_title_is_the_first_level_1_heading_else_the_name_of_the_file() -> None:
    assert read("intro\n\n## Two\n\n# One\n", "x.md").title == "One"
    assert read("intro", "a/b/travel-policy_2025.md").title == "Travel policy 2025"


def test_table_cells_say_which_are_headers() -> None:
    document = read(PAGE, "keys.md")
    table = next(b for b in document.blocks if b.kind is BlockKind.TABLE)
    assert [(c.row, c.column, c.span.of(document.text), c.header) for c in table.cells] == [
        (0, 0, "Plan", True),
        (0, 1, "Days", True),
        (1, 0, "Free", False),
        (1, 1, "90", False),
        (2, 0, "Pro", False),
        (2, 1, "30 | 7", False),
    ]


def test_an_empty_header_row_is_no_row_at_all() -> None:
    document = read("| | |\n|-|-|\n| a | b |\n", "x.md")
    assert document.text == "a | b"
    assert not any(cell.header for cell in document.blocks[0].cells)


def test_a_line_that_names_the_table_is_its_caption() -> None:
    document = read("Table 2: Limits\n\n| a |\n|---|\n| 1 |\n", "x.md")
    caption, table = document.blocks
    assert caption.kind is BlockKind.CAPTION
    assert table.caption == caption.span


def test_an_html_table_in_markdown_is_a_table() -> None:
    document = read("before\n\n<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>\n", "x.md")
    assert shown(document, BlockKind.TABLE) == ["a | b\n1 | 2"]


def test_a_hidden_part_of_an_html_table_stays_hidden_in_markdown() -> None:
    document = read("x\n\n<table><tr><th>a<td>b<span style='display:none'>SECRET</span></table>\n", "x.md")
    assert "SECRET" not in " ".join(shown(document))


def test_imports_of_mdx_pages_are_boilerplate_and_admonition_marks_go() -> None:
    document = read('import X from "y";\n\n# T\n\n:::note Careful\n\nHot.\n\n:::\n', "x.mdx")
    assert shown(document) == ["T", "Careful", "Hot."]
    assert read('import X from "y";\n\n# T', "x.md").blocks[0].boilerplate is False


def test_comments_scripts_and_styles_in_html_are_not_text() -> None:
    text = read(
        "a\n\n<!-- no -->\n\n<script>\nno()\n\n</script>\n\n<style>no{}</style>\n\nb <!-- no --> c\n", "x.md"
    ).text
    assert "no" not in text
    assert text.split() == ["a", "b", "c"]


def test_link_definitions_are_followed_without_showing_the_address() -> None:
    assert (
        read("See [the docs][1] and <b>[x]</b>.\n\n[1]: https://example.org\n", "x.md").text == "See the docs and [x]."
    )


def test_code_keeps_its_indentation_and_marks() -> None:
    assert shown(read("```py\n  if *x*:\n      y\n```\n", "x.md")) == ["  if *x*:\n      y"]
