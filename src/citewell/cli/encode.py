"""What `--json` prints: every dataclass as an object of its fields, in one place.

One JSON document on stdout; keys may be added, none is renamed or dropped within a major version:

    ask              question, outcome, text, claims, rejected, conflicts, reason, message, run_id, sequence, usage;
                     a citation also has uri, version, page, where, start and end beside document and span
    search           query, hits: [node, document, score, rank, row, found_by: {retriever: {score, rank}}]
    ingest           run_id, bucket, mirror, mirror, counts: {added, updated, unchanged, deleted, failed},
                     nodes, account (all of it added up), repeated: {documents, blocks}, sources: [uri, outcome,
                     document_id, version, nodes, characters, kind, message, warnings, account]
    status           folder, status: {sequence, outdated, buckets: [name, active, failed, nodes], identity, writer,
                     retriever}
    documents        documents: [uri, bucket, state, fingerprint, document, nodes, error_kind, error, updated_at,
                     reader]
    documents show   source (as listed), content: {characters, blocks, kinds, nodes} or null, warnings,
                     account: {found, kept, left_out: {reason: tally}} or null; a tally is {characters, cells, images,
                     pages}; figures: [id, media_type, bytes, width, height, name, alt, description, described_by,
                     span, regions], blocks: [kind, text, span, level, heading_path, regions, source, boilerplate,
                     hidden, confidence, language, links, figure, cells]
    delete           deleted: [as listed by documents]
    runs             runs: [run_id, flow, principal, status, started_at, ended_at, summary]
    runs show        run, steps: [step, attempt, started_at, duration_s, inputs, outputs, error]
    runs explain     run, steps (inputs and outputs as [event, content]), shown; with --shown: shown alone
    workflow draw    format, file, drawing (null with -o)
    workflow run     run_id, workflow, status ("waiting", or how it ended), result, error, questions, answer_with,
                     events: [seq, event, content]; the same of workflow resume
    workflow show    file, runs: [run_id, workflow, status, key, started_at, ended_at, due, questions, error]; with a
                     RUN: run (as listed), definition, whole, fault, entries, steps: [as of runs show]
    doctor           ok, checks: [name, status, message, remedy]
    --version        version
    any error        error: {type, message}; the exit code says whether it was wrong use (2) or a failure (1)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from citewell.cli.plain import escape_json

# Properties that are part of the documented shape, by class name: `answer.claims[0].citations[0].page`.
_SHOWN = {"Citation": ("uri", "version", "page", "where", "start", "end")}


def encode(value: object) -> Any:
    """The JSON form of `value`: dataclasses and mappings as objects, sequences as lists, sets as sorted lists.

    Spans, regions and the like are objects of their fields; enums their values. Raises TypeError for anything else.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        made = {field.name: encode(getattr(value, field.name)) for field in fields(value)}
        for name in _SHOWN.get(type(value).__name__, ()):
            made[name] = encode(getattr(value, name))
        return made
    if isinstance(value, Mapping):
        return {str(name): encode(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [encode(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(encode(one) for one in value)
    raise TypeError(f"{type(value).__name__} has no JSON form.")


def document(value: object) -> str:
    """One JSON document, indented, ending in a line feed. Safe on a terminal and always valid UTF-8."""
    return escape_json(json.dumps(encode(value), ensure_ascii=False, indent=2, allow_nan=False)) + "\n"
