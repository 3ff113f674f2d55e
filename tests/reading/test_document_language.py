"""A document says its language, and a long passage that is in another says its own."""

from __future__ import annotations

import pytest
from laws import read

from citewell.reading.language import language_of, with_language

pytest.importorskip("py3langid")

ENGLISH = "The hotel limit is one hundred and eighty euros per night, and breakfast is always included in the price. "
GERMAN = "Die Überstunden der Angestellten dürfen nicht verfallen, wenn sie auf Anordnung geleistet worden sind. "


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, "en"),
        (GERMAN, "de"),
        ("Les frais de déplacement sont remboursés sur présentation des justificatifs, dans la limite prévue.", "fr"),
        ("El límite del hotel es de ciento ochenta euros por noche y el desayuno está siempre incluido en él.", "es"),
        ("Лимит на гостиницу составляет сто восемьдесят евро за ночь, завтрак всегда включён в стоимость.", "ru"),
        ("Il limite per l'albergo è di centottanta euro a notte, e la colazione è sempre compresa nel prezzo.", "it"),
        ("Short words", None),
        ("1 2 3 4 5 6 7 8 9 0 " * 20, None),
    ],
)
def test_the_language_of_a_text_is_told_where_it_can_be(text, language):
    assert language_of(text) == language


def test_a_document_has_a_language_and_a_long_passage_in_another_its_own():
    document = read(f"{ENGLISH * 4}\n\n{GERMAN * 4}\n\n{ENGLISH * 4}\n\nKurz.\n\n{ENGLISH}", "a.txt")
    assert document.metadata["language"] == "en"
    assert [block.language for block in document.blocks] == [None, "de", None, None, None]


def test_what_a_page_says_of_itself_stays_unless_it_is_clearly_wrong():
    page = "<html lang='{}'><body><h1>Title</h1><p>{}</p></body></html>"
    assert read(page.format("en-GB", ENGLISH * 4), "a.html").metadata["language"] == "en-GB"
    assert read(page.format("en", GERMAN * 4), "a.html").metadata["language"] == "de"
    assert read(page.format("sw", "Hotel"), "a.html").metadata["language"] == "sw"
    assert "language" not in read("Hotel", "a.txt").metadata


def test_code_is_not_taken_for_a_language():
    document = read("```python\n" + "for name in names: print(name, value)\n" * 40 + "```\n", "a.md")
    assert with_language(document).blocks[0].language == "python"
    assert "language" not in document.metadata
