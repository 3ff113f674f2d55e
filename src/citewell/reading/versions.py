"""Which version each reader is: the number goes up whenever the same bytes would read differently.

The readers take their `identity` from here, and not the other way round, because every ingestion asks for all of them
and must not load parsers for it.
"""

from __future__ import annotations

from typing import Final

CSV: Final = "csv@3"
DOCX: Final = "docx@4"
FAQ: Final = "faq@3"
HTML: Final = "html@3"
MARKDOWN: Final = "markdown@3"
PDF: Final = "pdf@4"
TEXT: Final = "text@3"
