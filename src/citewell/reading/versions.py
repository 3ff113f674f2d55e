"""Which version each reader is: the number goes up whenever the same bytes would read differently.

The readers take their `identity` from here, and not the other way round, because every ingestion asks for all of them
and must not load parsers for it.
"""

from __future__ import annotations

import importlib.util
from typing import Final

from citewell.reading.ocr import AUTO, engine_identity

CODE: Final = "code@1"
CSV: Final = "csv@2"
DOCX: Final = "docx@3"
EPUB: Final = "epub@1"
FAQ: Final = "faq@2"
HTML: Final = "html@2"
IMAGE: Final = "image@1"
JSON: Final = "json@1"
MAIL: Final = "mail@1"
MARKDOWN: Final = "markdown@2"
MBOX: Final = "mbox@1"
MHTML: Final = "mhtml@1"
MSG: Final = "msg@1"
NOTEBOOK: Final = "notebook@1"
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
