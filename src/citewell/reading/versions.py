"""Which version each reader is: the number goes up whenever the same bytes would read differently.

The readers take their `identity` from here, and not the other way round, because every ingestion asks for all of them
and must not load parsers for it.
"""

from __future__ import annotations

import importlib.util
from typing import Final

CODE: Final = "code@1"
CSV: Final = "csv@2"
DOCX: Final = "docx@3"
EPUB: Final = "epub@1"
FAQ: Final = "faq@2"
HTML: Final = "html@4"
IMAGE: Final = "image@1"
JSON: Final = "json@1"
MAIL: Final = "mail@1"
MARKDOWN: Final = "markdown@2"
MBOX: Final = "mbox@1"
MHTML: Final = "mhtml@3"
MSG: Final = "msg@1"
NOTEBOOK: Final = "notebook@1"
OCR: Final = "ppocr-v6-small@1"
ODF: Final = "odf@1"
ODS: Final = "ods@1"
PDF: Final = "pdf@4"
PPTX: Final = "pptx@1"
RST: Final = "rst@1"
RTF: Final = "rtf@1"
TEXT: Final = "text@2"
XLS: Final = "xls@1"
XLSX: Final = "xlsx@1"
XML: Final = "xml@1"


def with_ocr(reader: str) -> str:
    """The identity of `reader` on this machine: what it makes of pictures depends on whether OCR is installed."""
    return f"{reader}+{OCR}" if _installed("rapidocr") and _installed("PIL") else reader


def with_grammars(reader: str) -> str:
    """The identity of `reader` on this machine: definitions are told apart where tree-sitter is installed."""
    return f"{reader}+tree-sitter" if _installed("tree_sitter") else reader


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
