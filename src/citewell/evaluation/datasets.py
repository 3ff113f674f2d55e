"""Retrieval sets in the common layout: corpus.jsonl.gz, queries.jsonl, qrels.tsv, in one folder each."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from citewell.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Passage:
    """One text of the corpus."""

    id: str
    title: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """One query; `extra` holds what else its line says (answers, user, …)."""

    id: str
    text: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """A corpus, questions, and grades by question and passage: `judged[question][passage]`, above 0 is relevant."""

    name: str
    corpus: tuple[Passage, ...]
    questions: tuple[Question, ...]
    judged: Mapping[str, Mapping[str, float]]

    @property
    def answerable(self) -> tuple[Question, ...]:
        """Questions for which something is relevant, in the order of the file."""
        relevant = {one for one, grades in self.judged.items() if any(grade > 0 for grade in grades.values())}
        return tuple(question for question in self.questions if question.id in relevant)


def find_sets(folder: Path) -> list[Path]:
    """Every folder under `folder` (itself, or one level down) that holds a retrieval set, by name."""
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())] if folder.is_dir() else []
    return [path for path in candidates if _corpus_file(path) and (path / "qrels.tsv").is_file()]


def load_set(folder: Path) -> RetrievalSet:
    """The set in `folder`, named for it. Raises ConfigError naming file and line of what cannot be read."""
    corpus_file = _corpus_file(folder)
    if corpus_file is None:
        raise ConfigError(f"{folder} holds no corpus.jsonl.gz; a retrieval set has corpus, queries and qrels.")
    corpus = tuple(
        Passage(_text(line, "_id", at), str(line.get("title") or ""), _text(line, "text", at), _metadata(line))
        for at, line in _lines(corpus_file)
    )
    questions = tuple(
        Question(
            _text(line, "_id", at), _text(line, "text", at), {k: line[k] for k in line if k not in ("_id", "text")}
        )
        for at, line in _lines(folder / "queries.jsonl")
    )
    return RetrievalSet(folder.name, corpus, questions, _judgements(folder / "qrels.tsv"))


def _corpus_file(folder: Path) -> Path | None:
    return next((path for name in ("corpus.jsonl.gz", "corpus.jsonl") if (path := folder / name).is_file()), None)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each line stands, and what it says."""
    if not path.is_file():
        raise ConfigError(f"{path} is missing; a retrieval set has corpus.jsonl.gz, queries.jsonl and qrels.tsv.")
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    at = f"{path}, line {number}"
                    held = json.loads(line)
                    if not isinstance(held, dict):
                        raise ConfigError(f"{at}: a JSON object is expected.")
                    yield at, held
    except (OSError, EOFError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error


def _text(line: Mapping[str, Any], key: str, at: str) -> str:
    value = line.get(key)
    if not isinstance(value, str):
        raise ConfigError(f"{at}: {key!r} is missing or not a text.")
    return value


def _metadata(line: Mapping[str, Any]) -> Mapping[str, Any]:
    held = line.get("metadata")
    return held if isinstance(held, dict) else {}


def _judgements(path: Path) -> dict[str, dict[str, float]]:
    judged: dict[str, dict[str, float]] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    for number, line in enumerate(lines, start=1):
        parts = line.split("\t")
        if not line.strip() or (number == 1 and parts[-1] == "score"):
            continue
        try:
            question, passage, grade = parts
            judged.setdefault(question, {})[passage] = float(grade)
        except ValueError as error:
            raise ConfigError(f"{path}, line {number}: query-id, corpus-id and score are expected.") from error
    return judged
