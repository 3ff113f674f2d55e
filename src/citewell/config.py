"""Settings are read here and nowhere below; `assemble` turns them into an engine.

One `citewell.toml` in the knowledge-base folder, environment variables over it
(`CITEWELL_EMBEDDING__PROVIDER=hashing`), unknown keys refused with their path.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from citewell.errors import ConfigError
from citewell.reading.limits import INLINE_BYTES, MAX_BYTES, MAX_CELLS, MAX_PAGES, MAX_PIXELS, Limits
from citewell.reading.ocr import AUTO

if TYPE_CHECKING:
    from citewell.engine import Engine
    from citewell.flows.describing import Pictures
    from citewell.protocols import Embedder, Writer
    from citewell.types import Principal

FILE_NAME = "citewell.toml"
_PREFIX = "CITEWELL_"
_SEPARATOR = "__"
MIN_NODE_TOKENS = 16
"""A node holds context and text; below this many tokens there is no room for both."""


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """Which model makes vectors. `options` go to the provider as they are (`threads`, `model`, `base_url`…)."""

    provider: str = "minilm"
    options: dict[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SplittingSettings:
    """`max_tokens` bounds a node, context included; 0 = as much as the embedder sees."""

    max_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ReadingSettings(Limits):
    """What one source may take: `max_bytes` of size here, and of a parser's process the `Limits` (`reading.limits`).

    Plain text of at most `inline_bytes` is read without such a process; Markdown, CSV and JSON of a sixteenth of that.
    `workers` are as many as there are cores, 2 to 8. A document whose tables have over `max_cells`, a PDF or picture of
    over `max_pages` pages and a picture of over `max_pixels` a page are refused.

    `ocr` reads text in pictures and scans: `ppocr` (of citewell[ocr]), `tesseract` (the program, with languages as in
    `tesseract:eng+rus`), `none`, or `auto`: the first of the two that is installed. With `figure_words` it also reads
    the words in the figures of PDFs: 2 to 5 seconds of CPU a figure, most of what a report with charts takes.

    `passwords` are tried on PDFs that are protected by one; they are kept nowhere else. The environment variable
    `CITEWELL_READING__PASSWORDS` has one a line.
    """

    max_bytes: int = MAX_BYTES
    max_cells: int = MAX_CELLS
    max_pages: int = MAX_PAGES
    max_pixels: int = MAX_PIXELS
    inline_bytes: int = INLINE_BYTES
    ocr: str = AUTO
    figure_words: bool = True
    passwords: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class DescribingSettings:
    """Which vision model says what pictures show (`openai:…`, `ollama:…`; "" for none), and of which pictures.

    Each picture with sides of at least `min_side` pixels, the first `max_pictures` of a document, is sent to it once.
    """

    model: str = ""
    max_pictures: int = 50
    min_side: int = 100
    max_output_tokens: int = 300
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class IngestionSettings:
    """Whether text that repeats across documents is boilerplate: `boilerplate = false` leaves all of it in answers.

    It does where at least `boilerplate_documents` documents, and a share of at least `boilerplate_share` of those in
    one folder, hold it; documents of other access rules are not counted.
    """

    boilerplate: bool = True
    boilerplate_documents: int = 5
    boilerplate_share: float = 0.3


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """Fusion of the dense and the lexical ranking: by z-score or by reciprocal rank, from pools of this size."""

    fusion: Literal["zscore", "rrf"] = "zscore"
    dense_weight: float = 1.0
    lexical_weight: float = 1.0
    pool: int = 100


@dataclass(frozen=True, slots=True)
class AnsweringSettings:
    """Who writes (`extractive` or `generative`, the latter by `model`), and how much evidence it is shown.

    `threshold` is the chance of being an answer that the best quote must have, below which the extractive writer
    abstains. It was fitted on the default embedder: another one's cosines lie elsewhere, and want another value.
    """

    writer: Literal["extractive", "generative"] = "extractive"
    threshold: float = 0.5
    model: str = ""
    evidence: int = 8
    budget_tokens: int = 2000
    max_output_tokens: int = 800
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one knowledge base."""

    embedding: EmbeddingSettings = field(default_factory=EmbeddingSettings)
    splitting: SplittingSettings = field(default_factory=SplittingSettings)
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    ingestion: IngestionSettings = field(default_factory=IngestionSettings)
    describing: DescribingSettings = field(default_factory=DescribingSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    answering: AnsweringSettings = field(default_factory=AnsweringSettings)


def load(folder: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of the knowledge base in `folder`; the defaults where nothing is set.

    Raises ConfigError with file or variable, and path of the key, for anything unknown or impossible.
    """
    given: dict[str, Any] = {}
    file = folder / FILE_NAME
    if file.is_file():
        try:
            given = tomllib.loads(file.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: not valid TOML: {error}.") from error
    variables: dict[tuple[str, ...], str] = {}
    for name, value in sorted((os.environ if environment is None else environment).items()):
        if name.startswith(_PREFIX) and _SEPARATOR in name:
            variables[_set(given, name, value)] = name
    if not given:
        return Settings()

    def place(path: tuple[str, ...]) -> str:
        return next((name for key, name in variables.items() if key[: len(path)] == path), str(file))

    settings = _validated(given, place)
    _check(settings, place)
    return settings


def _set(given: dict[str, Any], name: str, value: str) -> tuple[str, ...]:
    """Put a variable's value over the file's; the path of its key."""
    *path, last = name.removeprefix(_PREFIX).lower().split(_SEPARATOR)
    if not all((*path, last)):
        raise ConfigError(f"{name} names no setting: write {_PREFIX}SECTION{_SEPARATOR}KEY.")
    at = given
    for key in path:
        at = at.setdefault(key, {})
        if not isinstance(at, dict):
            raise ConfigError(f"{name}: {key!r} is a value in {FILE_NAME}, not a section.")
    if (*path, last) == ("reading", "passwords"):
        at[last] = [line for line in value.splitlines() if line]
    else:
        at[last] = _typed(value) if path[-1:] == ["options"] else value
    return (*path, last)


def _typed(value: str) -> str | int | float | bool:
    """An option as TOML would have it: what kind of value it takes is known to its provider alone."""
    try:
        made = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return value
    found = made["value"]
    return found if len(made) == 1 and isinstance(found, str | int | float | bool) else value


def _validated(given: dict[str, Any], place: Callable[[tuple[str, ...]], str]) -> Settings:
    """`given` as settings; `place` says where the setting of a path was written."""
    # Pydantic is loaded only when there is something to check: opening a default knowledge base stays cheap.
    from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

    for kind in (*(one.default_factory for one in fields(Settings)), Settings):
        assert isinstance(kind, type)
        with_config(ConfigDict(extra="forbid"))(kind)
    try:
        return TypeAdapter(Settings).validate_python(given)
    except ValidationError as error:
        lines = []
        for one in error.errors():
            path = tuple(map(str, one["loc"]))
            lines.append(f"{place(path)}: {'.'.join(path)}: {_said(one['type'], one['msg'], one['loc'])}")
        raise ConfigError("; ".join(lines) + ".") from error


def _check(settings: Settings, place: Callable[[tuple[str, ...]], str] | None = None) -> None:
    """Raises ConfigError for numbers with which nothing could work."""
    reading, answering, describing = settings.reading, settings.answering, settings.describing
    at_least: list[tuple[str, str, float, float]] = [
        ("reading", "max_bytes", reading.max_bytes, 1),
        ("reading", "max_cells", reading.max_cells, 1),
        ("reading", "max_pages", reading.max_pages, 1),
        ("reading", "max_pixels", reading.max_pixels, 1),
        ("reading", "inline_bytes", reading.inline_bytes, 0),
        ("reading", "timeout_s", reading.timeout_s, 0.001),
        ("reading", "longest_s", reading.longest_s, reading.timeout_s),
        ("reading", "cpu_s", reading.cpu_s, 0.001),
        ("reading", "memory_bytes", reading.memory_bytes, 1 << 20),
        ("reading", "output_bytes", reading.output_bytes, 1 << 10),
        ("reading", "open_files", reading.open_files, 16),
        ("reading", "processes", reading.processes, 1),
        ("reading", "workers", reading.workers, 1),
        ("reading", "documents_per_worker", reading.documents_per_worker, 1),
        ("ingestion", "boilerplate_documents", settings.ingestion.boilerplate_documents, 2),
        ("describing", "max_pictures", describing.max_pictures, 1),
        ("describing", "min_side", describing.min_side, 1),
        ("describing", "max_output_tokens", describing.max_output_tokens, 1),
        ("describing", "timeout_s", describing.timeout_s, 0.001),
        ("retrieval", "pool", settings.retrieval.pool, 1),
        ("answering", "evidence", answering.evidence, 1),
        ("answering", "budget_tokens", answering.budget_tokens, 1),
        ("answering", "max_output_tokens", answering.max_output_tokens, 1),
        ("answering", "timeout_s", answering.timeout_s, 0.001),
    ]
    if settings.splitting.max_tokens:
        at_least.append(("splitting", "max_tokens", settings.splitting.max_tokens, MIN_NODE_TOKENS))
    ranges = [(*one, float("inf"), f"of at least {one[3]}") for one in at_least]
    share = settings.ingestion.boilerplate_share
    ranges.append(("ingestion", "boilerplate_share", share, 0.01, 1.0, "between 0.01 and 1"))
    ranges.append(("answering", "threshold", answering.threshold, 0.0, 1.0, "between 0 and 1"))
    for section, key, value, least, most, wanted in ranges:
        if not least <= value <= most or value == float("inf"):  # NaN is not either
            where = f"{place((section, key))}: " if place else ""
            raise ConfigError(f"{where}{section}.{key} is {value}; it must be a number {wanted}.")


def _said(kind: str, message: str, place: tuple[int | str, ...]) -> str:
    """What pydantic found at `place`, in the words of a settings file; an unknown key with the known ones."""
    if kind == "tuple_type":
        return 'it must be a list: ["one", "another"]'
    if kind != "unexpected_keyword_argument":
        return message
    section: Any = Settings()
    for name in place[:-1]:
        section = getattr(section, str(name))
    return f"unknown key. Known are {', '.join(sorted(one.name for one in fields(section)))}"


async def assemble(
    folder: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    principal: Principal | None = None,
    create: bool = True,
) -> Engine:
    """The engine of the knowledge base in `folder`, built as `settings` say (None = as its `citewell.toml` says).

    `principal` is the one user of a library session; without one every call of the engine must name its own.
    Raises ConfigError, StoreError, and IndexMismatch when the knowledge base was built by other parts.
    """
    from citewell.engine import Engine
    from citewell.indexing.analysis import Analyzer
    from citewell.indexing.index import Index
    from citewell.reading.readers import Readers, default_factories
    from citewell.registry import factory
    from citewell.retrieval.dense import Dense
    from citewell.retrieval.fuse import Fused
    from citewell.retrieval.lexical import Lexical
    from citewell.splitting.repeats import Repeats
    from citewell.splitting.sections import Sections
    from citewell.validation.judge import Deterministic

    root = Path(folder)
    if settings is None:
        settings = load(root)
    _check(settings)
    reading, ingestion, retrieval = settings.reading, settings.ingestion, settings.retrieval
    embedder: Embedder = _make("embedder", settings.embedding.provider, settings.embedding.options)
    if not isinstance(embedder.dimensions, int) or embedder.dimensions < 1:
        raise ConfigError(f"embedding.options: {embedder.dimensions!r} is no number of dimensions.")
    if settings.splitting.max_tokens > embedder.max_tokens:
        raise ConfigError(
            f"splitting.max_tokens is {settings.splitting.max_tokens}, but the embedder {embedder.identity!r} sees "
            f"{embedder.max_tokens}: what stands behind would not be found. Set it to at most that, or to 0."
        )
    analyzer = Analyzer()
    splitter = Sections(embedder, settings.splitting.max_tokens or embedder.max_tokens)
    retriever = Fused(
        [Dense(embedder), Lexical()],
        method=retrieval.fusion,
        weights=[retrieval.dense_weight, retrieval.lexical_weight],
        pool=retrieval.pool,
    )
    writer = _writer(settings.answering, embedder)
    pictures = _pictures(settings.describing)
    limits = asdict(reading)
    max_bytes = limits.pop("max_bytes")
    reader = Readers(default_factories(private=(str(root),), **limits), max_bytes=max_bytes)
    # Last, so that settings that make no engine leave no empty knowledge base behind.
    store = await factory("store", "sqlite").open(root, create=create)  # type: ignore[attr-defined]
    try:
        await store.bind(
            {
                "embedder": embedder.identity,
                "dimensions": str(embedder.dimensions),
                "splitter": splitter.identity,
                "analyzer": analyzer.identity,
            }
        )
    except BaseException:
        await store.close()
        raise
    return Engine(
        store=store,
        index=Index(store, analyzer, root / "index"),
        reader=reader,
        splitter=splitter,
        embedder=embedder,
        terms=analyzer.terms,
        retriever=retriever,
        writer=writer,
        validator=Deterministic(),
        repeats=Repeats(ingestion.boilerplate_documents, ingestion.boilerplate_share)
        if ingestion.boilerplate
        else None,
        evidence=settings.answering.evidence,
        budget_tokens=settings.answering.budget_tokens,
        max_bytes=reading.max_bytes,
        pictures=pictures,
        principal=principal,
        closing=[reader.close],
    )


def _make(kind: str, provider: str, options: Mapping[str, Any]) -> Any:
    from citewell.registry import factory

    make = factory(kind, provider)
    try:
        return make(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{kind} {provider!r} does not take these options: {error}.") from error


def _pictures(settings: DescribingSettings) -> Pictures | None:
    if not settings.model:
        return None
    from citewell.flows.describing import Pictures

    options = {
        "model": settings.model,
        "max_output_tokens": settings.max_output_tokens,
        "timeout_s": settings.timeout_s,
    }
    return Pictures(_make("describer", "llm", options), settings.max_pictures, settings.min_side)


def _writer(settings: AnsweringSettings, embedder: Embedder) -> Writer:
    if settings.writer == "extractive":
        from citewell.synthesis.extract import Extractive

        return Extractive(embedder, threshold=settings.threshold)
    if settings.writer != "generative":
        raise ConfigError(f'answering.writer is {settings.writer!r}; it must be "extractive" or "generative".')
    from citewell.synthesis.generate import Generative

    if not settings.model:
        raise ConfigError('answering.writer is "generative" but answering.model names no model (openai:…, ollama:…).')
    generator = _make("generator", "llm", {"model": settings.model, "timeout_s": settings.timeout_s})
    return Generative(generator, max_tokens=settings.max_output_tokens)
