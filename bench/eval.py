"""Retrieval quality of the product's own path: ingest each set under CITEWELL_DATA, ask its queries, compare.

Every document goes through reader, splitter, embedder and store as a user's would; documents are ranked by their best
node. Sets whose documents carry `metadata.acl` are asked as each query's `user`, and what such a user must not see
is counted in `leaked` (it has to be 0). Knowledge bases are kept in build/eval, so a second run asks only.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import citewell
from citewell.engine import Engine
from citewell.evaluation.datasets import Question, RetrievalSet, find_sets, load_set
from citewell.evaluation.metrics import ndcg, recall
from citewell.protocols import Retriever
from citewell.retrieval.dense import Dense
from citewell.retrieval.lexical import Lexical
from citewell.types import Access, Principal, Query, Source

ROOT = Path(__file__).resolve().parent.parent
DEPTH = 100


def sources(held: RetrievalSet) -> Iterator[Source]:
    """The set's passages as sources; a passage without a rule is everyone's."""
    for passage in held.corpus:
        rule = passage.metadata.get("acl")
        yield Source(
            uri=passage.id,
            content=f"{passage.text}\n".encode(),
            media_type="text/plain",
            access=Access.everyone() if rule is None else Access(frozenset(rule)),
            metadata={"title": passage.title},
        )


def principals(folder: Path) -> dict[str, Principal]:
    """Who asks, by user, where the set has permissions."""
    file = folder / "principals.jsonl.gz"
    if not file.is_file():
        return {}
    found = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            names = [*line["principals"]]
            user = next(name.removeprefix("user:") for name in names if name.startswith("user:"))
            groups = frozenset(name.removeprefix("group:") for name in names if name.startswith("group:"))
            found[str(line.get("user", user))] = Principal("local", user, groups)
    return found


async def measure(folder: Path, keep: Path) -> dict[str, float]:
    """Figures of one set, by `variant.metric`."""
    held = load_set(folder)
    people = principals(folder)
    rules = {passage.id: frozenset(passage.metadata.get("acl") or ()) for passage in held.corpus}
    figures: dict[str, float] = {}
    async with await citewell.assemble(keep / held.name, principal=Principal.local()) as engine:
        started = time.process_time()
        report = await engine.ingest_sources(sources(held))
        spent = time.process_time() - started
        fresh = report.count("added") + report.count("updated")
        if fresh > len(held.corpus) // 2:
            figures["ingest.documents_per_cpu_s"] = fresh / spent
        if report.failed:
            figures["ingest.failed"] = len(report.failed)
        retrievers: Mapping[str, Retriever] = {
            "dense": Dense(engine.embedder),
            "bm25": Lexical(),
            "hybrid": engine.retriever,
        }
        judged = {question.id for question in held.answerable}
        questions = held.questions if people else held.answerable
        figures["documents"], figures["queries"] = len(held.corpus), len(questions)
        for name, retriever in retrievers.items():
            gains, recalls, leaked = [], [], 0
            started = time.perf_counter()
            for question in questions:
                who = people.get(str(question.extra.get("user")), Principal.local())
                ranking = await ranked(engine, retriever, question, who)
                if question.id in judged:
                    gains.append(ndcg(ranking, held.judged[question.id], 10))
                    recalls.append(recall(ranking, held.judged[question.id], 10))
                leaked += sum(bool(rules[one]) and rules[one].isdisjoint(who.names) for one in ranking)
            figures[f"{name}.ndcg@10"] = sum(gains) / len(gains)
            figures[f"{name}.recall@10"] = sum(recalls) / len(recalls)
            figures[f"{name}.ms_per_query"] = 1000 * (time.perf_counter() - started) / len(questions)
            if people:
                figures[f"{name}.leaked"] = leaked
    return {f"{held.name}.{key}": value for key, value in figures.items()}


async def ranked(engine: Engine, retriever: Retriever, question: Question, who: Principal) -> list[str]:
    """Ids of documents by their best node, best first."""
    query = Query(question.text)
    view = await engine.index.view(query, who)
    hits = await view.hits(await retriever.search(query, view, DEPTH), DEPTH)
    return list(dict.fromkeys(hit.document.uri for hit in hits))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", help="names of sets (default: all)")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CITEWELL_DATA", ROOT / "../shared/data")))
    parser.add_argument("--keep", type=Path, default=ROOT / "build/eval", help="where knowledge bases are kept")
    arguments = parser.parse_args()
    folders = [path for path in find_sets(arguments.data) if not arguments.sets or path.name in arguments.sets]
    if not folders:
        print(f"No retrieval set under {arguments.data}. Set CITEWELL_DATA.", file=sys.stderr)
        return 1
    file = ROOT / "build/figures/eval.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    figures: dict[str, float] = json.loads(file.read_text()) if arguments.sets and file.is_file() else {}
    print(f"{'set':<20}{'':<8}{'nDCG@10':>9}{'recall@10':>11}{'ms/query':>10}")
    for folder in folders:
        found = asyncio.run(measure(folder, arguments.keep))
        figures.update(found)
        for variant in ("dense", "bm25", "hybrid"):
            line = [found[f"{folder.name}.{variant}.{metric}"] for metric in ("ndcg@10", "recall@10", "ms_per_query")]
            leaked = found.get(f"{folder.name}.{variant}.leaked")
            tail = "" if leaked is None else f"   leaked {leaked:.0f}"
            name = folder.name if variant == "dense" else ""
            print(f"{name:<20}{variant:<8}{line[0]:>9.4f}{line[1]:>11.4f}{line[2]:>10.1f}{tail}", flush=True)
    ran_on = {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "onnxruntime")}}
    measured = {key: round(value, 5) for key, value in sorted(figures.items()) if key not in ran_on}
    file.write_text(json.dumps({**ran_on, **measured}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
