"""Word's formulas as a line of text: `a^2`, `(n-1)/2`, `√x`. Without this, m² would read m2, which is another thing."""

from __future__ import annotations

from typing import Any

from citewell.reading.docx_xml import name

_MAX_DEPTH = 60
_PROPERTIES = frozenset({"rPr", "ctrlPr", "fPr", "naryPr", "dPr", "radPr", "sSupPr", "sSubPr", "sSubSupPr", "funcPr"})


def linear(element: Any, depth: int = 0) -> str:
    """The text of an `m:oMath` element or any part of one; what is nested over 60 deep is left out."""
    if depth > _MAX_DEPTH:
        return ""

    def part(kind: str) -> str:
        found = next((child for child in element if name(child) == kind), None)
        return linear(found, depth + 1) if found is not None else ""

    kind = name(element)
    if kind == "t":
        return element.text or ""
    if kind == "sSup":
        return f"{part('e')}^{_grouped(part('sup'))}"
    if kind == "sSub":
        return f"{part('e')}_{_grouped(part('sub'))}"
    if kind == "sSubSup":
        return f"{part('e')}_{_grouped(part('sub'))}^{_grouped(part('sup'))}"
    if kind == "f":
        return f"{_grouped(part('num'))}/{_grouped(part('den'))}"
    if kind == "rad":
        degree = part("deg")
        return f"{'' if degree in ('', '2') else degree}√{_grouped(part('e'))}"
    if kind == "nary":
        low, high = part("sub"), part("sup")
        sign = _sign(element, "naryPr", "chr", "∫")
        return f"{sign}{f'_{_grouped(low)}' if low else ''}{f'^{_grouped(high)}' if high else ''} {part('e')}"
    if kind == "d":
        inside = _sign(element, "dPr", "sepChr", "|").join(
            linear(child, depth + 1) for child in element if name(child) == "e"
        )
        return f"{_sign(element, 'dPr', 'begChr', '(')}{inside}{_sign(element, 'dPr', 'endChr', ')')}"
    return "".join(linear(child, depth + 1) for child in element if name(child) not in _PROPERTIES)


def _grouped(text: str) -> str:
    """`text` in brackets unless it is one word or number."""
    text = text.strip()
    return text if text.isalnum() or (len(text) < 2) or (text[0] == "(" and text[-1] == ")") else f"({text})"


def _sign(element: Any, properties: str, sign: str, default: str) -> str:
    holder = next((child for child in element if name(child) == properties), ())
    for child in holder:
        if name(child) == sign:
            return next((str(value) for key, value in child.attrib.items() if key.endswith("}val")), "")
    return default
