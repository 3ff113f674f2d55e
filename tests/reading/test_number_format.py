"""Number formats: what is shown, and what is kept where that tells less."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.reading.number_format import (
    _quick,
    _sections,
    _show_number,
    from_serial,
    is_date,
    plain,
    show,
    shows_nothing,
)


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (1599.99, "#,##0.00", "1,599.99"),
        (-1599.99, "#,##0.00", "-1,599.99"),
        (-1599.99, '"$"#,##0.00_);[Red]\\("$"#,##0.00\\)', "($1,599.99)"),
        (198356388, "0.00E+00", "1.98E+08"),
        (12345.678, "##0.0E+0", "12.3E+3"),
        (9.999, "0.00E+00", "1.00E+01"),
        (0.025, "0%", "3%"),
        (0.025, "0.00%", "2.50%"),
        (0.125, "0.00", "0.13"),
        (2.5, "# ?/?", "2 1/2"),
        (3.125, "# ?/8", "3 1/8"),
        (0.5, "?/?", "1/2"),
        (19.99, '0\\ "dollars and"\\ .00\\ "cents"', "19 dollars and .99 cents"),
        (1234567, "#,##0,", "1,235"),
        (1234567, '0.0,,"M"', "1.2M"),
        (123456789, "000-00-0000", "123-45-6789"),
        (0, '_(* #,##0_);_(* (#,##0);_(* "-"_);_(@_)', "-"),
        (-5, '_(* #,##0_);_(* (#,##0);_(* "-"_);_(@_)', "(5)"),
        (150, '[>=100]"big";[<100]"small"', "big"),
        (5, "#,##0.00 [$€-407]", "5.00 €"),
        (5, "[$CHF] 0.00", "CHF 5.00"),
        (2.25, 'General"x"', "2.25x"),
        (-0.001, "0.00", "0.00"),
        (0.1 + 0.2, "General", "0.3"),
        (1e21, "General", "1E+21"),
        (1.5, "[h]:mm", "36:00"),
        (0.0005, "mm:ss.0", "00:43.2"),
        (43831.5, "d/m/yy h:mm", "1/1/20 12:00"),
        (43831.75, "h:mm AM/PM", "6:00 PM"),
        (44197, "[$-409]mmmm\\ d\\,\\ yyyy;@", "January 1, 2021"),
        (44197, "[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy", "2021-01-01"),
        (44197, "dddd", "Friday"),
        (61, "yyyy-mm-dd", "1900-03-01"),
        (59, "yyyy-mm-dd", "1900-02-28"),
    ],
)
def test_a_number_shows_as_its_format_says(value: float, code: str, text: str) -> None:
    assert show(value, code).text == text


@pytest.mark.parametrize(
    ("value", "code", "stored"),
    [
        (1234.5, "#,##0.00", ""),
        (0.25, "0%", ""),
        (0.1234, "0%", "0.1234"),
        (3.14159, "0.0", "3.14159"),
        (7, '"seven"', "7"),
        (2.5, "# ?/?", "2.5"),
        (123456789, "000-00-0000", "123456789"),
        (19.99, '0\\ "dollars and"\\ .00\\ "cents"', "19.99"),
        (1234567.5, "#,##0.0 _)", ""),
        (1500, "0.0E+00", ""),
        (44197, "yyyy-mm-dd", ""),
        (44197, "d mmm yyyy", ""),
        (44197, "d-mmm-yy", "2021-01-01"),
        (44197.5, "yyyy-mm-dd", "2021-01-01 12:00:00"),
        (44197.5, "yyyy-mm-dd h:mm", ""),
        (0.5, "h:mm", ""),
    ],
)
def test_the_stored_value_is_kept_where_what_is_shown_tells_less(value: float, code: str, stored: str) -> None:
    assert show(value, code).stored == stored


def test_old_macintosh_files_count_their_days_from_1904() -> None:
    assert show(0, "yyyy-mm-dd", since_1904=True).text == "1904-01-01"
    assert from_serial(1, since_1904=True) == dt.datetime.fromisoformat("1904-01-02")


@pytest.mark.parametrize("code", ["yyyy", "[h]:mm", "h AM/PM", "0;yyyy"])
def test_dates_are_told_from_numbers(code: str) -> None:
    assert is_date(code)


@pytest.mark.parametrize("code", ["General", "@", "0.00", '"day" 0', "0.00E+00", "[Red]0", "\\d0"])
def test_numbers_are_told_from_dates(code: str) -> None:
    assert not is_date(code)


def test_a_format_of_empty_sections_shows_nothing() -> None:
    assert shows_nothing(";;;")
    assert not shows_nothing("0;;")
    assert show(5, ";;;") == ("", "5")


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20))
def test_no_format_and_no_number_is_too_odd_to_show(value: float, code: str) -> None:
    text, stored = show(value, code)
    assert len(text) + len(stored) < 1500


@given(
    st.one_of(st.floats(-1e12, 1e12), st.integers(-(10**9), 10**9).map(lambda n: n / 1000)),
    st.sampled_from([("0", 0), ("0", 2), ("#,##0", 0), ("#,##0", 3)]),
)
def test_the_quick_way_shows_what_the_long_way_does(value: float, form: tuple[str, int]) -> None:
    whole, places = form
    code = whole + ("." + "0" * places if places else "")
    quick = _quick(value, whole, places)
    if quick is not None:
        (section,) = _sections(code)
        assert quick == _show_number(section, value)


@given(st.floats(-1e15, 1e15))
def test_a_plain_number_has_fifteen_digits_and_the_value_of_the_number(value: float) -> None:
    assert float(plain(value)) == pytest.approx(value, rel=1e-14, abs=1e-300)
