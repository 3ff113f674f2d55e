"""Which version each reader is: the number goes up whenever the same bytes would read differently.

The readers take their `identity` from here, and not the other way round, because every ingestion asks for all of them
and must not load parsers for it.
"""

from __future__ import annotations

from typing import Final

CSV: Final = "csv@1"
DOCX: Final = "docx@2"
FAQ: Final = "faq@1"
HTML: Final = "html@1"
MARKDOWN: Final = "markdown@1"
ODS: Final = "ods@1"
PDF: Final = "pdf@2"
PPTX: Final = "pptx@1"
TEXT: Final = "text@1"
XLS: Final = "xls@1"
XLSX: Final = "xlsx@1"
