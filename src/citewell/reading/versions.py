"""Which version each reader is: the number goes up whenever the same bytes would read differently.

The readers take their `identity` from here, and not the other way round, because every ingestion asks for all of them
and must not load parsers for it.
"""

from __future__ import annotations

import importlib.util
from typing import Final

from citewell.reading.ocr import AUTO, engine_identity

CODE: Final = "code@2"
CSV: Final = "csv@3"
DOCX: Final = "docx@5"
EPUB: Final = "epub@3"
FAQ: Final = "faq@3"
HTML: Final = "html@4"
IMAGE: Final = "image@2"
JSON: Final = "json@2"
MAIL: Final = "mail@3"
MARKDOWN: Final = "markdown@3"
MBOX: Final = "mbox@4"
MHTML: Final = "mhtml@3"
MSG: Final = "msg@3"
NOTEBOOK: Final = "notebook@2"
ODF: Final = "odf@2"
ODS: Final = "ods@3"
PDF: Final = "pdf@8"
PPTX: Final = "pptx@3"
RST: Final = "rst@2"
RTF: Final = "rtf@2"
TEXT: Final = "text@3"
XLS: Final = "xls@3"
XLSX: Final = "xlsx@3"
XML: Final = "xml@2"


def with_ocr(reader: str, ocr: str = AUTO) -> str:
    """The identity of `reader` with the engine called `ocr` on this machine, where it may not be installed."""
    engine = engine_identity(ocr)
    return f"{reader}+{engine}" if engine else reader


def of_pdf(ocr: str = AUTO, *, figure_words: bool = True) -> str:
    """The identity of the reader of PDFs with these options."""
    return with_ocr(PDF, ocr) + ("" if figure_words else "-figures")


def with_grammars(reader: str) -> str:
    """The identity of `reader` on this machine: definitions are told apart where tree-sitter is installed."""
    return f"{reader}+tree-sitter" if _installed("tree_sitter") else reader


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
