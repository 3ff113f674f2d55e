"""One reader for everything: tells the type from the content and hands the source to the reader of that type."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any, Final, TypeAlias

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
from citewell.types import Document, Source

Factory: TypeAlias = Callable[[], Reader]

MAX_BYTES: Final = 50_000_000
"""The largest source that is read, unless the caller says otherwise."""

_HERE: Final = "citewell.reading"
# What another reader of the same type cannot mend.
_FINAL: Final = frozenset({"encrypted", "limit_exceeded", "unsafe_content", "not_permitted"})


@dataclass(frozen=True, slots=True, eq=False)
class Lazy:
    """Makes the reader `module:Name` when called; its module is imported then, and its `identity` known before.

    With `limits` (as `Isolated` takes them) it runs in killable worker processes, else in this one.
    """

    spec: str
    identity: str
    limits: Mapping[str, Any] | None = None

    def __call__(self) -> Reader:
        module, _, name = self.spec.partition(":")
        made: Reader = (
            getattr(import_module(module), name)()
            if self.limits is None
            else import_module(f"{_HERE}.isolation").Isolated(self.spec, **self.limits)
        )
        return made


def default_factories(*, passwords: Sequence[str] = (), **limits: Any) -> dict[str, tuple[Factory, ...]]:
    """Media type → readers to try in order. Native parsers of formats that strangers make run in workers.

    `passwords` are tried on PDFs that are protected by one.
    """
    locked = {**limits, "options": {"passwords": list(passwords)}} if passwords else limits
    text = Lazy(f"{_HERE}.text:TextReader", versions.TEXT)
    code = Lazy(f"{_HERE}.code:CodeReader", versions.with_grammars(versions.CODE), limits)
    image = Lazy(f"{_HERE}.image:ImageReader", versions.with_ocr(versions.IMAGE), limits)
    return {
        CSV: (Lazy(f"{_HERE}.csv_:CsvReader", versions.CSV),),
        DOCX: (Lazy(f"{_HERE}.docx:DocxReader", versions.with_ocr(versions.DOCX), limits),),
        EPUB: (Lazy(f"{_HERE}.epub:EpubReader", versions.EPUB, limits),),
        HTML: (Lazy(f"{_HERE}.html:HtmlReader", versions.HTML),),
        JSON: (Lazy(f"{_HERE}.faq:FaqReader", versions.FAQ), Lazy(f"{_HERE}.json_:JsonReader", versions.JSON), text),
        MAIL: (Lazy(f"{_HERE}.mail:MailReader", versions.MAIL, limits),),
        MARKDOWN: (Lazy(f"{_HERE}.markdown:MarkdownReader", versions.MARKDOWN),),
        MBOX: (Lazy(f"{_HERE}.mbox:MboxReader", versions.MBOX, limits),),
        MSG: (Lazy(f"{_HERE}.msg:MsgReader", versions.MSG, limits),),
        NOTEBOOK: (Lazy(f"{_HERE}.notebook:NotebookReader", versions.NOTEBOOK, limits), text),
        ODP: (Lazy(f"{_HERE}.odf:OdfReader", versions.with_ocr(versions.ODF), limits),),
        ODS: (Lazy(f"{_HERE}.ods:OdsReader", versions.ODS, limits),),
        ODT: (Lazy(f"{_HERE}.odf:OdfReader", versions.with_ocr(versions.ODF), limits),),
        PDF: (Lazy(f"{_HERE}.pdf:PdfReader", versions.with_ocr(versions.PDF), locked),),
        PPTX: (Lazy(f"{_HERE}.pptx:PptxReader", versions.with_ocr(versions.PPTX), limits),),
        RST: (Lazy(f"{_HERE}.rst:RstReader", versions.RST, limits), text),
        RTF: (Lazy(f"{_HERE}.rtf:RtfReader", versions.RTF, limits),),
        TEXT: (text,),
        WEB_ARCHIVE: (Lazy(f"{_HERE}.mhtml:MhtmlReader", versions.MHTML, limits),),
        XLS: (Lazy(f"{_HERE}.xls:XlsReader", versions.XLS, limits),),
        XLSX: (Lazy(f"{_HERE}.xlsx:XlsxReader", versions.XLSX, limits),),
        XML: (Lazy(f"{_HERE}.xml_:XmlReader", versions.XML, limits), text),
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
        """`readers@1(...)` with the identities of all readers inside, sorted.

        A factory that has an `identity` itself (a `Lazy`, a reader's class) is not called for it.
        """
        names = {self._identity(factory) for made in self._factories.values() for factory in made}
        return f"readers@1({'+'.join(sorted(names))})"

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
    return ReadError(
        "limit_exceeded",
        f"The file has {size:,} bytes; the limit max_bytes is {limit:,}. Split the file or raise the limit.",
    )
