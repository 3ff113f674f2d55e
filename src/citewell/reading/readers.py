"""One reader for everything: tells the type from the content and hands the source to the reader of that type."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from citewell.errors import ReadError
from citewell.protocols import Reader
from citewell.reading import versions
from citewell.reading.detect import detect
from citewell.reading.formats import (
    CSV,
    DOCX,
    EPUB,
    HTML,
    IMAGES,
    JSON,
    MAIL,
    MARKDOWN,
    MBOX,
    MSG,
    NOTEBOOK,
    ODP,
    ODS,
    ODT,
    PDF,
    PPTX,
    RST,
    RTF,
    TEXT,
    WEB_ARCHIVE,
    XLS,
    XLSX,
    XML,
    not_installed,
    unread,
)
from citewell.reading.languages import CODE_TYPES
from citewell.reading.limits import INLINE_BYTES, MAX_BYTES, MAX_CELLS, MAX_PAGES, MAX_PIXELS, over
from citewell.reading.ocr import AUTO
from citewell.types import Document, Source

if TYPE_CHECKING:
    from citewell.reading.isolation import Pool

Factory: TypeAlias = Callable[[], Reader]

_HERE: Final = "citewell.reading"
# What another reader of the same type cannot mend.
_FINAL: Final = frozenset({"encrypted", "limit_exceeded", "unsafe_content", "not_permitted"})


@dataclass(frozen=True, slots=True, eq=False)
class Lazy:
    """Makes the reader `module:Name` when called; its module is imported then, and its `identity` known before.

    With the `pool` of workers that is given it runs in killable processes, else in this one; sources of at most
    `inline_bytes` are read in this one all the same, unless `native` stands in them, which calls for a native parser.
    `options` are the arguments of the reader, JSON-able.
    """

    spec: str
    identity: str
    pool: Callable[[], Pool] | None = None
    inline_bytes: int = -1
    native: bytes | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self) -> Reader:
        module, _, name = self.spec.partition(":")
        if self.pool is None:
            made: Reader = getattr(import_module(module), name)(**self.options)
        elif self.inline_bytes >= 0:
            made = _BySize(replace(self, pool=None), replace(self, inline_bytes=-1))
        else:
            made = import_module(f"{_HERE}.isolation").Isolated(self.spec, options=self.options, pool=self.pool())
        return made


class _BySize:
    """Reads small sources here and others in worker processes; either reader is made when first needed."""

    def __init__(self, here: Lazy, apart: Lazy) -> None:
        self.identity = here.identity
        self._here, self._apart = here, apart
        self._made: dict[Lazy, Reader] = {}
        self._lock = threading.Lock()

    def read(self, source: Source) -> Document:
        """As the reader does. Raises what it raises."""
        content, native = source.content, self._here.native
        small = len(content) <= self._here.inline_bytes
        # In UTF-16 the letters stand apart.
        here = small and (native is None or native not in content.replace(b"\0", b"").lower())
        chosen = self._here if here else self._apart
        with self._lock:
            if chosen not in self._made:
                self._made[chosen] = chosen()
            reader = self._made[chosen]
        return reader.read(source)

    def close(self) -> None:
        """End the worker processes, if there are any."""
        with self._lock:
            apart = self._made.pop(self._apart, None)
        if apart is not None:
            apart.close()  # type: ignore[attr-defined]


def default_factories(
    *,
    inline_bytes: int = INLINE_BYTES,
    ocr: str = AUTO,
    figure_words: bool = True,
    passwords: Sequence[str] = (),
    max_cells: int = MAX_CELLS,
    max_pages: int = MAX_PAGES,
    max_pixels: int = MAX_PIXELS,
    **limits: Any,
) -> dict[str, tuple[Factory, ...]]:
    """Media type → readers to try in order; `limits` are those of `Pool`, which they share.

    Native parsers of formats that strangers make run in workers, and with them what is long enough to hold this
    process up. Plain text is read here up to `inline_bytes`; what has a grammar, up to a sixteenth of that: it takes
    time in proportion to its length (tests/reading/test_readers.py), but much more of it.

    Text in pictures is read by the engine `ocr` (see `ocr.engine`), with `figure_words` in the figures of PDFs too.
    `passwords` are tried on PDFs that are protected by one. A document whose tables have over `max_cells`, a PDF or
    picture of over `max_pages` and a picture of over `max_pixels` a page are refused.
    """
    cells = {"max_cells": max_cells}
    seeing = cells | {"ocr": ocr}
    pdf: dict[str, Any] = seeing | {"max_pages": max_pages, "figure_words": figure_words}
    pdf |= {"passwords": list(passwords)} if passwords else {}
    picture = seeing | {"max_pages": max_pages, "max_pixels": max_pixels}

    @cache
    def pool() -> Pool:
        made: Pool = import_module(f"{_HERE}.isolation").Pool(**limits)
        return made

    def inline(
        name: str, identity: str, share: int = 16, native: bytes | None = None, options: Mapping[str, Any] = cells
    ) -> Lazy:
        return Lazy(f"{_HERE}.{name}", identity, pool, inline_bytes // share, native, options)

    text = inline("text:TextReader", versions.TEXT, 1, options={})
    code = Lazy(f"{_HERE}.code:CodeReader", versions.with_grammars(versions.CODE), pool)
    image = Lazy(f"{_HERE}.image:ImageReader", versions.with_ocr(versions.IMAGE, ocr), pool, options=picture)
    return {
        CSV: (inline("csv_:CsvReader", versions.CSV),),
        DOCX: (Lazy(f"{_HERE}.docx:DocxReader", versions.with_ocr(versions.DOCX, ocr), pool, options=seeing),),
        EPUB: (Lazy(f"{_HERE}.epub:EpubReader", versions.EPUB, pool, options=cells),),
        HTML: (Lazy(f"{_HERE}.html:HtmlReader", versions.HTML, pool, options=cells),),
        JSON: (inline("faq:FaqReader", versions.FAQ, options={}), inline("json_:JsonReader", versions.JSON), text),
        MAIL: (Lazy(f"{_HERE}.mail:MailReader", versions.MAIL, pool, options=cells),),
        MARKDOWN: (inline("markdown:MarkdownReader", versions.MARKDOWN, native=b"<table"),),
        MBOX: (Lazy(f"{_HERE}.mbox:MboxReader", versions.MBOX, pool, options=cells),),
        MSG: (Lazy(f"{_HERE}.msg:MsgReader", versions.MSG, pool, options=cells),),
        NOTEBOOK: (Lazy(f"{_HERE}.notebook:NotebookReader", versions.NOTEBOOK, pool, options=cells), text),
        ODP: (Lazy(f"{_HERE}.odf:OdfReader", versions.with_ocr(versions.ODF, ocr), pool, options=seeing),),
        ODS: (Lazy(f"{_HERE}.ods:OdsReader", versions.ODS, pool, options=cells),),
        ODT: (Lazy(f"{_HERE}.odf:OdfReader", versions.with_ocr(versions.ODF, ocr), pool, options=seeing),),
        PDF: (Lazy(f"{_HERE}.pdf:PdfReader", versions.of_pdf(ocr, figure_words=figure_words), pool, options=pdf),),
        PPTX: (Lazy(f"{_HERE}.pptx:PptxReader", versions.with_ocr(versions.PPTX, ocr), pool, options=seeing),),
        RST: (Lazy(f"{_HERE}.rst:RstReader", versions.RST, pool, options=cells), text),
        RTF: (Lazy(f"{_HERE}.rtf:RtfReader", versions.RTF, pool, options=cells),),
        TEXT: (text,),
        WEB_ARCHIVE: (Lazy(f"{_HERE}.mhtml:MhtmlReader", versions.MHTML, pool, options=cells),),
        XLS: (Lazy(f"{_HERE}.xls:XlsReader", versions.XLS, pool, options=cells),),
        XLSX: (Lazy(f"{_HERE}.xlsx:XlsxReader", versions.XLSX, pool, options=cells),),
        XML: (Lazy(f"{_HERE}.xml_:XmlReader", versions.XML, pool, options=cells), text),
        **dict.fromkeys(CODE_TYPES, (code, text)),
        **dict.fromkeys(IMAGES, (image,)),
    }


class Readers:
    """A Reader around readers. A document's `reader` names the one that read it, its `media_type` what it is.

    Thread-safe; readers are made when first needed and closed with this one. An error of a parser that it did not
    mean becomes a ReadError, so that one bad file never stops an ingestion.
    """

    def __init__(
        self, factories: Mapping[str, Factory | Sequence[Factory]] | None = None, *, max_bytes: int = MAX_BYTES
    ) -> None:
        chosen = default_factories() if factories is None else factories
        self._factories = {kind: (made,) if callable(made) else tuple(made) for kind, made in chosen.items()}
        self._max_bytes = max_bytes
        self._made: dict[Factory, Reader] = {}
        self._lock = threading.Lock()

    @cached_property
    def identity(self) -> str:
        """`readers@1(...)` with the identities of all readers inside, sorted. They hold `+` and brackets, no blanks.

        A factory that has an `identity` itself (a `Lazy`, a reader's class) is not called for it.
        """
        names = {self._identity(factory) for made in self._factories.values() for factory in made}
        return f"readers@1({' '.join(sorted(names))})"

    def media_type(self, source: Source) -> str:
        """What `source` is by its content. Raises ReadError: empty, limit_exceeded, encrypted, unsupported_type."""
        size = len(source.content)
        if size > self._max_bytes:
            raise too_large(size, self._max_bytes)
        return detect(source.content, source.uri, source.media_type)

    def read(self, source: Source) -> Document:
        """The document in `source`, by the first of its type's readers that can.

        Raises ReadError of every kind; the first reader's where all fail.
        """
        try:
            return self._read(source)
        except ReadError as error:
            # Messages say what is wrong and not where: who reports one has the uri beside it. A traceback has not.
            error.add_note(f"Source: {source.uri}")
            raise

    def close(self) -> None:
        """End the worker processes of readers that have any."""
        with self._lock:
            made, self._made = list(self._made.values()), {}
        for reader in made:
            close = getattr(reader, "close", None)
            if close is not None:
                close()

    def _read(self, source: Source) -> Document:
        kind = self.media_type(source)
        if kind not in self._factories:
            raise ReadError("unsupported_type", unread(kind, self._factories))
        first: ReadError | None = None
        tried: list[str] = []
        for factory in self._factories[kind]:
            try:
                document = self._attempt(factory, source)
            except ReadError as error:
                if error.kind in _FINAL:
                    raise
                first = first or error
                # One that says "not mine", or that is not installed, has not tried.
                tried += [] if error.kind == "unsupported_type" else [self._identity(factory)]
                continue
            if first is not None and tried:
                said = f"Read by {document.reader}, because {', '.join(tried)} could not: {first}"
                document = replace(document, warnings=(*document.warnings, said))
            return document
        assert first is not None, kind
        if len(tried) > 1:
            first = ReadError(first.kind, f"{first} Tried were {', '.join(tried)}.")
        raise first

    def _identity(self, factory: Factory) -> str:
        known: object = getattr(factory, "identity", None)
        return known if isinstance(known, str) else self._reader(factory).identity

    def _reader(self, factory: Factory) -> Reader:
        with self._lock:
            if factory not in self._made:
                self._made[factory] = factory()
            return self._made[factory]

    def _attempt(self, factory: Factory, source: Source) -> Document:
        try:
            return _document(self._reader(factory), source)
        except ImportError as error:
            raise not_installed(error) from error


def _document(reader: Reader, source: Source) -> Document:
    try:
        document = reader.read(source)
    except (ReadError, ImportError):
        raise
    except Exception as error:  # the boundary at which a parser's failure becomes this file's
        raise ReadError(
            "corrupt", f"The file may be damaged: {reader.identity} failed on it with {type(error).__name__}."
        ) from error
    if not document.text or document.text.isspace():
        raise ReadError("no_text", f"The file holds no text that {reader.identity} can find.")
    from citewell.reading.language import with_language  # late: whoever asks for the identity alone needs none of it

    return with_language(document)


def too_large(size: int, limit: int) -> ReadError:
    """The error for a source above the size limit, both sizes in bytes."""
    return over("The file", size, "bytes", limit, setting="max_bytes")
