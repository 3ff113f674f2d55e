"""Places in a source, as people name them."""

from __future__ import annotations

import pytest

from citewell.types import Place


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (Place(2, 5, "lines"), "lines 3-5"),
        (Place(8, 9, "lines"), "line 9"),
        (Place(10, 80), "bytes 10-80"),
        (Place(0, 1, "records"), "record 1"),
        (Place(11, 12, "paragraphs", "word/document.xml"), "document.xml paragraph 12"),
        (Place(2, 3, "lines", "1.2"), "part 1.2 line 3"),
        (Place(2, 3, "rows", "'My sheet'!A3:C3"), "'My sheet'!A3:C3"),
        (Place(2, 3, "rows", "'in/out'!A3"), "'in/out'!A3"),
        (Place(0, 9, "rows", "'Go!'"), "'Go!' rows 1-9"),
    ],
)
def test_a_place_is_named_as_people_count(place, said):
    assert place.said == said
