"""Which version each reader is: the number goes up whenever the same bytes would read differently.

The readers take their `identity` from here, and not the other way round, because every ingestion asks for all of them
and must not load parsers for it.
"""

from __future__ import annotations

import importlib.util
from typing import Final

CSV: Final = "csv@1"
DOCX: Final = "docx@2"
FAQ: Final = "faq@1"
HTML: Final = "html@1"
MARKDOWN: Final = "markdown@1"
PDF: Final = "pdf@3"
TEXT: Final = "text@1"
IMAGE: Final = "image@1"
OCR: Final = "ppocr-v6-small@1"


def with_ocr(reader: str) -> str:
    """The identity of `reader` on this machine: what it makes of pictures depends on whether OCR is installed."""
    installed = all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "PIL"))
    return f"{reader}+{OCR}" if installed else reader
