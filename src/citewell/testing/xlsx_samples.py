"""Made-up Excel workbooks, of which it is known what stands in every cell and whether it can be seen."""

# ruff: noqa: E501 (markup is easier to read unbroken)

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

from citewell.testing.office_files import OFFICE, OfficeFile, packed, text_of
from citewell.testing.prose import Prose

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_NAMES: Final = f'xmlns="{_MAIN}" xmlns:r="{OFFICE}"'
_MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
                  "November", "December")  # fmt: skip
_MANNERS: Final = ("shared", "inline", "no addresses", "since 1904")


def xlsx_files(count: int, seed: int = 1) -> Iterator[OfficeFile]:
    """`count` workbooks, the same for the same `seed`.

    `said` has every cell that holds anything as (sheet, address, text as Excel shows it, rows and columns it covers as
    `2x1`, "seen" or "hidden"). A title above a table covers `1x1`, however it is merged. Days in the format that Excel
    shows as each machine has it (14) are told as ISO 8601.
    """
    chance = random.Random(seed)  # noqa: S311 (no secret)
    for number in range(count):
        yield _Writer(chance, _MANNERS[number % len(_MANNERS)], number).workbook()


@dataclass(slots=True)
class _Sheet:
    """A sheet being written: by (row, column) from 0 the XML of each cell, what is merged, hidden, named a table."""

    name: str
    state: str = "visible"
    cells: dict[tuple[int, int], str] = field(default_factory=dict)
    truth: dict[tuple[int, int], tuple[str, str, bool]] = field(default_factory=dict)  # text, reach, seen
    merged: list[str] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    tables: list[tuple[str, list[str]]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    filtered: str = ""
    row: int = 0  # the next that is free


class _Writer(Prose):
    """One workbook, its strings and cells written in one `manner`."""

    def __init__(self, chance: random.Random, manner: str, number: int) -> None:
        super().__init__(chance)
        self.file = OfficeFile(f"book {number} {manner}.xlsx")
        self.manner = manner
        self.strings: list[str] = []
        self.since = date(1904, 1, 1) if manner == "since 1904" else date(1899, 12, 30)

    def workbook(self) -> OfficeFile:
        sheets = [self.sheet(at) for at in range(self.chance.randint(1, 3))]
        for one in sheets:
            for place, (text, reach, seen) in one.truth.items():
                out_of_sight = place[0] in one.hidden_rows or place[1] in one.hidden_columns
                shown = seen and one.state == "visible" and not out_of_sight
                key = (one.name, _name(*place), text, reach, "seen" if shown else "hidden")
                self.file.said[key] += 1
        self.file.content = self.saved(sheets)
        return self.file

    def sheet(self, at: int) -> _Sheet:
        name = [f"Sheet{at + 1}", f"{self.words(1, 2).title()} {2020 + at}", f"Ann's {self.words(1, 1)} & Co"][at % 3]
        made = _Sheet(
            name, "visible" if at == 0 else self.chance.choice(["visible", "visible", "hidden", "veryHidden"])
        )
        made.row = self.chance.choice([0, 0, 2])
        parts = [_Writer.table, *self.chance.sample(_PARTS, k=self.chance.randint(1, 3))]
        for part in parts:
            part(self, made)
            made.row += self.chance.randint(2, 4)
        if self.chance.random() < 0.2 and not made.merged:
            made.hidden_columns.add(max(column for _, column in made.cells))
        return made

    # What stands in a sheet, each from the next free row on.

    def table(self, sheet: _Sheet, *, named: bool = False) -> None:
        """A header and rows of values in all formats, some cells empty; perhaps with a title, a filter, a hidden row."""
        left, top = self.chance.choice([0, 0, 1, 3]), sheet.row
        kinds = self.chance.sample(list(_VALUES), k=self.chance.randint(2, 7))
        if self.chance.random() < 0.3 and not named:
            self.put(sheet, top, left, *self.text(self.title()))
            if self.chance.random() < 0.5:
                sheet.merged.append(f"{_name(top, left)}:{_name(top, left + len(kinds))}")
            top += 1
        columns = ["Item", *(f"{self.words(1, 1).title()} {at}" for at in range(1, len(kinds) + 1))]
        for at, column in enumerate(columns):
            self.put(sheet, top, left + at, *self.text(column))
        rows = self.chance.randint(2, 9)
        for row in range(top + 1, top + 1 + rows):
            self.put(sheet, row, left, *self.text(self.words(1, 3)))
            for at, kind in enumerate(kinds, 1):
                if row == top + 1 or self.chance.random() < 0.9:
                    self.put(sheet, row, left + at, *_VALUES[kind](self))
        where = f"{_name(top, left)}:{_name(top + rows, left + len(kinds))}"
        if named:
            sheet.tables.append((where, columns))
        elif self.chance.random() < 0.2 and not sheet.filtered:
            sheet.filtered = where
        if self.chance.random() < 0.25 and rows > 3:
            sheet.hidden_rows.add(top + 2)
        if self.chance.random() < 0.3:
            sheet.notes.append((_name(top + 1, left), self.sentence()))
        sheet.row = top + rows + 1

    def named_table(self, sheet: _Sheet) -> None:
        self.table(sheet, named=True)

    def beside(self, sheet: _Sheet) -> None:
        """Two tables side by side, two blank columns apart."""
        top, end = sheet.row, 0
        for left in (0, 5):
            self.header(sheet, top, left, 3)
            rows = self.chance.randint(2, 5)
            for row in range(top + 1, top + 1 + rows):
                self.put(sheet, row, left, *self.text(self.words(1, 3)))
                for at in (1, 2):
                    self.put(sheet, row, left + at, *_VALUES["whole"](self))
            end = max(end, top + rows + 1)
        sheet.row = end

    def groups(self, sheet: _Sheet) -> None:
        """A table with years merged above their columns, and labels merged beside their rows."""
        top = sheet.row
        self.put(sheet, top, 0, *self.text("Region"), reach="2x1")
        self.put(sheet, top, 1, *self.text("Unit"), reach="2x1")
        sheet.merged += [f"{_name(top, at)}:{_name(top + 1, at)}" for at in (0, 1)]
        for group, left in (("Year 2023", 2), ("Year 2024", 4)):
            self.put(sheet, top, left, *self.text(group), reach="1x2")
            sheet.merged.append(f"{_name(top, left)}:{_name(top, left + 1)}")
            for at, name in enumerate(("plan", "actual")):
                self.put(sheet, top + 1, left + at, *self.text(name))
        row = top + 2
        for _ in range(self.chance.randint(1, 3)):
            deep = self.chance.randint(2, 3)
            self.put(sheet, row, 0, *self.text(self.words(1, 2)), reach=f"{deep}x1")
            sheet.merged.append(f"{_name(row, 0)}:{_name(row + deep - 1, 0)}")
            for at in range(row, row + deep):
                self.put(sheet, at, 1, *self.text(self.words(1, 1)))
                for column in range(2, 6):
                    self.put(sheet, at, column, *_VALUES[self.chance.choice(["whole", "two places"])](self))
            row += deep
        sheet.row = row

    def pairs(self, sheet: _Sheet) -> None:
        """Labels and their values, as on a cover sheet."""
        for _ in range(self.chance.randint(3, 6)):
            self.put(sheet, sheet.row, 1, *self.text(f"{self.words(1, 2).capitalize()}:"))
            self.put(sheet, sheet.row, 2, *_VALUES[self.chance.choice(["text", "whole", "day", "percent"])](self))
            sheet.row += 1

    def sparse(self, sheet: _Sheet) -> None:
        """Lone cells far apart."""
        for _ in range(self.chance.randint(2, 4)):
            self.put(sheet, sheet.row, self.chance.choice([0, 7, 30, 702]), *self.text(self.words(2, 5)))
            sheet.row += self.chance.choice([3, 40, 1000])

    def remarks(self, sheet: _Sheet) -> None:
        """Lines of prose below each other."""
        for _ in range(self.chance.randint(2, 4)):
            self.put(sheet, sheet.row, 0, *self.text(self.prose(1, 2)))
            sheet.row += 1

    def header(self, sheet: _Sheet, row: int, left: int, count: int) -> None:
        for at in range(count):
            self.put(sheet, row, left + at, *self.text(f"{self.words(1, 1).title()} {at}"))

    # Cells: the XML between the attributes of `c` and its end, the style, and what Excel shows.

    def put(
        self, sheet: _Sheet, row: int, column: int, inner: str, text: str, seen: bool = True, reach: str = "1x1"
    ) -> None:
        sheet.cells[row, column] = inner
        sheet.truth[row, column] = (" ".join(text.split()), reach, seen)

    def text(self, text: str) -> tuple[str, str]:
        if self.manner == "inline":
            return f' t="inlineStr"><is><t xml:space="preserve">{text_of(text)}</t></is>', text
        return f' t="s"><v>{self.shared(f"<t>{text_of(text)}</t>")}</v>', text

    def shared(self, inner: str) -> int:
        """The number of a shared string with this inside."""
        if inner not in self.strings:
            self.strings.append(inner)
        return self.strings.index(inner)

    def number(self, value: str, style: str, text: str, more: str = "") -> tuple[str, str]:
        return f' s="{list(_FORMATS).index(style)}">{more}<v>{value}</v>', text

    def serial(self, day: date) -> int:
        return (day - self.since).days

    def day(self) -> date:
        return date(2019, 1, 1) + timedelta(self.chance.randrange(2500))

    def saved(self, sheets: list[_Sheet]) -> bytes:
        parts, kinds = {}, {}
        links: dict[str, list[str]] = {"xl/workbook.xml": []}
        names, tables = "", 0
        for at, sheet in enumerate(sheets, 1):
            name = f"xl/worksheets/sheet{at}.xml"
            names += f'<sheet name="{text_of(sheet.name)}" sheetId="{at}" state="{sheet.state}" r:id="s{at}"/>'
            links["xl/workbook.xml"].append(f"s{at} worksheet worksheets/sheet{at}.xml")
            links[name] = []
            held = ""
            for number, (where, columns) in enumerate(sheet.tables):
                tables += 1
                told = "".join(f'<tableColumn id="{n}" name="{one}"/>' for n, one in enumerate(columns, 1))
                parts[f"xl/tables/table{tables}.xml"] = (
                    f'<table xmlns="{_MAIN}" id="{tables}" name="T{tables}" displayName="T{tables}" ref="{where}">'
                    f'<tableColumns count="{len(columns)}">{told}</tableColumns></table>'
                )
                kinds[f"xl/tables/table{tables}.xml"] = "spreadsheetml.table"
                links[name].append(f"t{number} table ../tables/table{tables}.xml")
                held += f'<tablePart r:id="t{number}"/>'
            if sheet.notes:
                said = "".join(
                    f'<comment ref="{ref}" authorId="0"><text><t>{text}</t></text></comment>'
                    for ref, text in sheet.notes
                )
                parts[f"xl/comments{at}.xml"] = (
                    f'<comments xmlns="{_MAIN}"><authors><author>Ann</author></authors>'
                    f"<commentList>{said}</commentList></comments>"
                )
                kinds[f"xl/comments{at}.xml"] = "spreadsheetml.comments"
                links[name].append(f"n comments ../comments{at}.xml")
            parts[name] = self.sheet_xml(sheet, f"<tableParts>{held}</tableParts>" if held else "")
            kinds[name] = "spreadsheetml.worksheet"
        settings = '<workbookPr date1904="1"/>' if self.manner == "since 1904" else ""
        parts["xl/workbook.xml"] = f"<workbook {_NAMES}>{settings}<sheets>{names}</sheets></workbook>"
        kinds["xl/workbook.xml"] = "spreadsheetml.sheet.main"
        parts["xl/styles.xml"] = _styles()
        kinds["xl/styles.xml"] = "spreadsheetml.styles"
        parts["xl/sharedStrings.xml"] = f"<sst {_NAMES}>{''.join(f'<si>{one}</si>' for one in self.strings)}</sst>"
        kinds["xl/sharedStrings.xml"] = "spreadsheetml.sharedStrings"
        links["xl/workbook.xml"] += ["st styles styles.xml", "ss sharedStrings sharedStrings.xml"]
        return packed("xl/workbook.xml", parts, kinds, links)

    def sheet_xml(self, sheet: _Sheet, tables: str) -> str:
        rows: dict[int, list[tuple[int, str]]] = {}
        for (row, column), inner in sorted(sheet.cells.items()):
            rows.setdefault(row, []).append((column, inner))
        made = ""
        for row, cells in rows.items():
            bare = self.manner == "no addresses" and [column for column, _ in cells] == list(range(len(cells)))
            inside = "".join(
                f"<c{'' if bare else f' r={chr(34)}{_name(row, column)}{chr(34)}'}{one}</c>" for column, one in cells
            )
            hidden = ' hidden="1"' if row in sheet.hidden_rows else ""
            made += f'<row r="{row + 1}"{hidden}>{inside}</row>'
        columns = "".join(f'<col min="{at + 1}" max="{at + 1}" hidden="1"/>' for at in sorted(sheet.hidden_columns))
        merged = "".join(f'<mergeCell ref="{one}"/>' for one in sheet.merged)
        return (
            f"<worksheet {_NAMES}>{f'<cols>{columns}</cols>' if columns else ''}<sheetData>{made}</sheetData>"
            + (f'<autoFilter ref="{sheet.filtered}"/>' if sheet.filtered else "")
            + (f"<mergeCells>{merged}</mergeCells>" if merged else "")
            + f"{tables}</worksheet>"
        )


def _name(row: int, column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"


# Number formats by the name used here; None are Excel's own, by their number.
_FORMATS: Final[dict[str, str | int]] = {
    "general": 0, "whole": 1, "two places": 2, "thousands": 3, "thousands and two": 4, "percent": 9, "percent and two": 10,
    "power": 11, "brackets": 37, "day": 14, "hours": 20, "as text": 49, "dollars": '"$"#,##0.00', "euros": '#,##0.00\\ "€"',
    "long day": "d mmmm yyyy", "dotted day": "[$-407]dd\\.mm\\.yyyy", "slashed day": "dd/mm/yyyy", "month": "mmm\\-yy",
    "moment": "yyyy\\-mm\\-dd\\ hh:mm", "duration": "[h]:mm", "padded": "00000", "pieces": '0\\ "pcs"', "times": '0.0"x"',
    "millions": '#,##0.0,,"m"', "signed": "+0;-0;0", "nothing": ";;;", "accounting": '_-* #,##0.00_-;\\-* #,##0.00_-;_-* "-"??_-;_-@_-',
}  # fmt: skip


def _styles() -> str:
    codes = [code for code in _FORMATS.values() if isinstance(code, str)]
    written = "".join(f'<numFmt numFmtId="{n}" formatCode="{text_of(code)}"/>' for n, code in enumerate(codes, 164))
    cells = "".join(
        f'<xf numFmtId="{code if isinstance(code, int) else 164 + codes.index(code)}" fontId="0" fillId="0" borderId="0"/>'
        for code in _FORMATS.values()
    )
    return (
        f'<styleSheet {_NAMES}><numFmts count="{len(codes)}">{written}</numFmts><fonts count="1"><font><sz val="11"/></font>'
        '</fonts><fills count="1"><fill><patternFill patternType="none"/></fill></fills><borders count="1"><border/>'
        f'</borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="{len(_FORMATS)}">{cells}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )


def _number(style: str, show: Callable[[int], str], *, below: int = 100_000, over: int = 1, least: int = 1) -> _Value:
    """Cells under a format: the value is a whole number from `least` on divided by `over`, which `show` gets undivided."""

    def value(writer: _Writer) -> tuple[str, str]:
        drawn = writer.chance.randrange(least, below)
        return writer.number(str(drawn) if over == 1 else repr(drawn / over), style, show(drawn))

    return value


def _day(style: str, show: Callable[[date], str]) -> _Value:
    def value(writer: _Writer) -> tuple[str, str]:
        day = writer.day()
        return writer.number(str(writer.serial(day)), style, show(day))

    return value


def _moment(writer: _Writer) -> tuple[str, str]:
    day, clock = writer.day(), time(writer.chance.randrange(24), writer.chance.choice([0, 15, 30, 45]))
    share = (clock.hour * 60 + clock.minute) / 1440
    shown = datetime.combine(day, clock).strftime("%Y-%m-%d %H:%M")
    return writer.number(repr(writer.serial(day) + share), "moment", shown)


def _millions(writer: _Writer) -> tuple[str, str]:
    tenths = writer.chance.randrange(1, 50_000)
    return writer.number(f"{tenths}00000", "millions", f"{tenths / 10:,.1f}m")


def _minutes(style: str, below: int) -> _Value:
    def value(writer: _Writer) -> tuple[str, str]:
        minutes = writer.chance.randrange(1, below)
        return writer.number(repr(minutes / 1440), style, f"{minutes // 60}:{minutes % 60:02}")

    return value


def _iso(writer: _Writer) -> tuple[str, str]:
    day = writer.day()
    return f' t="d" s="{list(_FORMATS).index("day")}"><v>{day}T00:00:00</v>', str(day)


def _rich(writer: _Writer) -> tuple[str, str]:
    one, other = writer.words(1, 2), writer.words(1, 3)
    read = '<rPh sb="0" eb="1"><t>yomi</t></rPh>'
    runs = (
        f'<r><rPr><b/></rPr><t xml:space="preserve">{one} </t></r><r><t>{other}</t></r>{read}<phoneticPr fontId="0"/>'
    )
    if writer.manner == "inline":
        return f' t="inlineStr"><is>{runs}</is>', f"{one} {other}"
    return f' t="s"><v>{writer.shared(runs)}</v>', f"{one} {other}"


def _truth(writer: _Writer) -> tuple[str, str]:
    said = writer.chance.choice([True, False])
    return f' t="b"><v>{int(said)}</v>', str(said).upper()


def _error(writer: _Writer) -> tuple[str, str]:
    said = writer.chance.choice(["#DIV/0!", "#N/A", "#REF!", "#NAME?", "#VALUE!"])
    return f' t="e"><f>A1/0</f><v>{said}</v>', said


def _reckoned(writer: _Writer) -> tuple[str, str]:
    number = writer.chance.randrange(1, 99_999)
    return writer.number(str(number), "thousands", f"{number:,}", "<f>SUM(A1:A9)</f>")


def _joined(writer: _Writer) -> tuple[str, str]:
    text = writer.words(1, 3)
    return f' t="str"><f>A1&amp;""</f><v>{text}</v>', text


def _shared_formula(writer: _Writer) -> tuple[str, str]:
    number = writer.chance.randrange(1, 99_999)
    return writer.number(str(number), "whole", str(number), '<f t="shared" si="0"/>')


def _lines(writer: _Writer) -> tuple[str, str]:
    return writer.text(f"{writer.words(1, 3)}\n{writer.words(1, 3)}")


def _unseen(writer: _Writer) -> tuple[str, str, bool]:
    """A number under a format that shows nothing."""
    number = writer.chance.randrange(1, 999)
    return *writer.number(str(number), "nothing", str(number)), False


_Value = Callable[[_Writer], tuple[str, str] | tuple[str, str, bool]]
_VALUES: Final[dict[str, _Value]] = {
    "text": lambda writer: writer.text(writer.words(1, 4)),
    "code": lambda writer: writer.text(f"00{writer.chance.randrange(1, 99)}"),
    "lines": _lines,
    "rich": _rich,
    "whole": _number("whole", str),
    "plain": _number("general", lambda n: f"{n / 100:.2f}".rstrip("0").rstrip("."), over=100),
    "two places": _number("two places", lambda n: f"{n / 100:.2f}", over=100),
    "thousands": _number("thousands", lambda n: f"{n:,}", below=9_000_000),
    "thousands and two": _number("thousands and two", lambda n: f"{n / 100:,.2f}", over=100, below=90_000_000),
    "percent": _number("percent", lambda n: f"{n}%", over=100, below=250),
    "percent and two": _number("percent and two", lambda n: f"{n / 100:.2f}%", over=10_000),
    # Excel rounds halves up, Python to the even digit: the 0.25 makes halves more.
    "power": _number("power", lambda n: f"{n + 0.25:.2E}", below=10_000_000, least=100),
    "brackets": _number("brackets", lambda n: f"{n:,}" if n >= 0 else f"({-n:,})", least=-50_000),
    "dollars": _number("dollars", lambda n: f"${n / 100:,.2f}", over=100, below=90_000_000),
    "euros": _number("euros", lambda n: f"{n / 100:,.2f} €", over=100),
    "accounting": _number("accounting", lambda n: f"{n / 100:,.2f}", over=100),
    "as text": _number("as text", str),
    "padded": _number("padded", lambda n: f"{n:05}"),
    "pieces": _number("pieces", lambda n: f"{n} pcs", below=900),
    "times": _number("times", lambda n: f"{n / 10:.1f}x", over=10, below=90),
    "millions": _millions,
    "signed": _number("signed", lambda n: f"{n:+}" if n else "0", least=-90, below=90),
    "day": _day("day", str),
    "long day": _day("long day", lambda day: f"{day.day} {_MONTHS[day.month - 1]} {day.year}"),
    "dotted day": _day("dotted day", lambda day: day.strftime("%d.%m.%Y")),
    "slashed day": _day("slashed day", lambda day: day.strftime("%d/%m/%Y")),
    "month": _day("month", lambda day: f"{_MONTHS[day.month - 1][:3]}-{day.year % 100:02}"),
    "moment": _moment,
    "hours": _minutes("hours", 1440),
    "duration": _minutes("duration", 9000),
    "ISO day": _iso,
    "truth": _truth,
    "error": _error,
    "reckoned": _reckoned,
    "joined": _joined,
    "shared formula": _shared_formula,
    "nothing": _unseen,
}
_PARTS: Final[tuple[Callable[[_Writer, _Sheet], None], ...]] = (
    *(_Writer.table, _Writer.table, _Writer.named_table, _Writer.beside, _Writer.groups),
    *(_Writer.pairs, _Writer.sparse, _Writer.remarks),
)
