"""Search at 10,000 nodes (and more): cold start, dense, BM25, hybrid, each beside a bare numpy scan in the same run.

    python bench/search.py [--rows 10000 100000] [--queries 100] [--keep FOLDER]

Data: 384-dimensional unit vectors around 1,000 centres, texts of 60 words by Zipf's law over 30,000 words, 10 nodes a
document. A query has five words, of which one stands in most nodes. The two sides take turns query by query, so that
other work on the machine falls on both; compare by ratio. Figures go to build/figures/bench.json.

`cold_start.own_s` is the CPU time, with the time spent waiting for the disk, of a new process that imports, opens and
answers one hybrid query with a ready vector, less that of a process that does nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from citewell.indexing.analysis import Analyzer
from citewell.indexing.index import Index
from citewell.indexing.lexical import Postings, merged
from citewell.protocols import NewVersion
from citewell.retrieval import Dense, Fused, Lexical
from citewell.storage.sqlite import SqliteStore
from citewell.types import Block, BlockKind, Document, Node, Principal, Query, Source, Span, node_id

DIMENSIONS, WORDS, NODE_WORDS, DOCUMENT_NODES = 384, 30_000, 60, 10
ME = Principal.local()
FIGURES = Path(__file__).resolve().parent.parent / "build" / "figures" / "bench.json"
COLD = """
import asyncio, sys, time
import numpy as np
from pathlib import Path
from citewell.indexing.analysis import Analyzer
from citewell.indexing.index import Index
from citewell.retrieval import Dense, Fused, Lexical
from citewell.storage.sqlite import SqliteStore
from citewell.types import Principal, Query

class Ready:
    identity, dimensions, max_tokens = "bench", 384, 256
    def token_starts(self, text): return []
    async def embed(self, texts, *, role): return np.load(sys.argv[2])[None]

async def main():
    folder = Path(sys.argv[1])
    store = await SqliteStore.open(folder, create=False)
    index = Index(store, Analyzer(), folder / "index")
    query = Query(sys.argv[3])
    view = await index.view(query, Principal.local())
    ranking = await Fused([Dense(Ready()), Lexical()]).search(query, view, 10)
    hits = await view.hits(ranking, 10)
    assert len(hits) == 10 and view.size == int(sys.argv[4]), (len(hits), view.size)
    await store.close()

asyncio.run(main())
"""


class Given:
    """An embedder that was told all vectors beforehand."""

    identity, dimensions, max_tokens = "bench", DIMENSIONS, 256

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self.vectors = vectors

    def token_starts(self, text: str) -> Sequence[int]:
        return []

    async def embed(self, texts: Sequence[str], *, role: str) -> np.ndarray:
        return np.array([self.vectors[text] for text in texts], np.float32)


def word(number: int) -> str:
    """A word that no analysis changes or drops."""
    return f"w{number:x}q"


def corpus(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (rows, 384) and word numbers (rows, 60)."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((1000, DIMENSIONS)).astype(np.float32)
    vectors = centres[rng.integers(0, 1000, rows)] + rng.standard_normal((rows, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = np.minimum(rng.zipf(1.25, (rows, NODE_WORDS)) - 1, WORDS - 1)
    return vectors, words


async def fill(folder: Path, vectors: np.ndarray, words: np.ndarray) -> None:
    """Ingest through the store, as a user's documents would be."""
    analyzer = Analyzer()
    async with await SqliteStore.open(folder) as store:
        await store.bind({"embedder": "bench", "dimensions": str(DIMENSIONS), "analyzer": analyzer.identity})
        versions: list[NewVersion] = []
        for first in range(0, len(words), DOCUMENT_NODES):
            texts = [" ".join(map(word, row)) for row in words[first : first + DOCUMENT_NODES].tolist()]
            versions.append(document(f"doc-{first}", texts, vectors[first : first + DOCUMENT_NODES], analyzer))
            if len(versions) == 200 or first + DOCUMENT_NODES >= len(words):
                await store.commit(versions)
                versions = []
        index = Index(store, analyzer, folder / "index")
        await index.refresh()
        await index.close()


def document(uri: str, texts: list[str], vectors: np.ndarray, analyzer: Analyzer) -> NewVersion:
    whole = "\n".join(texts)
    source = Source(uri, whole.encode())
    spans, at = [], 0
    for text in texts:
        spans.append(Span(at, at + len(text)))
        at += len(text) + 1
    blocks = tuple(Block(BlockKind.PARAGRAPH, span) for span in spans)
    made = Document.of(source, reader="bench@1", media_type="text/plain", title=uri, text=whole, blocks=blocks)
    nodes = tuple(Node(node_id(made.id, "b", span.start, span.end), made.id, span, span.of(whole)) for span in spans)
    return NewVersion(source, made, nodes, vectors, tuple(analyzer.terms(text) for text in texts), {}, made.sha256)


def cold_start(folder: Path, vector: np.ndarray, text: str, rows: int, repeats: int) -> float:
    """Median own seconds of a new process beyond one that does nothing, the two taking turns."""
    ready = folder / "query.npy"
    np.save(ready, vector)
    own, bare = [], []
    with tempfile.TemporaryDirectory() as compiled:
        for _ in range(repeats + 1):
            bare.append(own_seconds([sys.executable, "-c", "pass"], compiled))
            own.append(own_seconds([sys.executable, "-c", COLD, str(folder), str(ready), text, str(rows)], compiled))
    # The first run compiled the modules, which an installation does once.
    return statistics.median(own[1:]) - statistics.median(bare[1:])


def own_seconds(command: list[str], compiled: str) -> float:
    """CPU seconds of the process and of its threads, and seconds it waited for the disk; bytecode is in `compiled`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = compiled
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command[:3]
    # Pages read from the disk, at the 0.1 ms each that a plain SSD takes: waiting itself is not told apart by the OS.
    return usage.ru_utime + usage.ru_stime + usage.ru_majflt * 1e-4


def floor_top(scores: np.ndarray, limit: int) -> np.ndarray:
    top = np.argpartition(scores, len(scores) - limit)[len(scores) - limit :]
    return top[np.argsort(-scores[top])]


class Floor:
    """The least that can be done with numpy: no mask, no versions, no exact ties."""

    def __init__(self, vectors: np.ndarray, postings: Postings, lengths: np.ndarray, ids: dict[str, int]) -> None:
        self.vectors, self.postings, self.ids = vectors, postings, ids
        self.norms = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
        self.start = dict(zip(postings.terms.tolist(), range(len(postings.terms)), strict=True))

    def dense(self, vector: np.ndarray, limit: int) -> np.ndarray:
        return floor_top(np.vecdot(self.vectors, vector), limit)

    def bm25_scores(self, words: Sequence[str]) -> np.ndarray:
        scores = np.zeros(len(self.vectors))
        for one in words:
            at = self.start[self.ids[one]]
            here = slice(self.postings.starts[at], self.postings.starts[at + 1])
            positions, counts = self.postings.positions[here], self.postings.counts[here]
            idf = np.log(1 + (len(self.vectors) - len(positions) + 0.5) / (len(positions) + 0.5))
            scores[positions] += idf * 2.2 * counts / (counts + self.norms[positions])
        return scores

    def bm25(self, words: Sequence[str], limit: int) -> np.ndarray:
        return floor_top(self.bm25_scores(words), limit)

    def hybrid(self, vector: np.ndarray, words: Sequence[str], limit: int) -> np.ndarray:
        dense, lexical = np.vecdot(self.vectors, vector), self.bm25_scores(words)
        pool = np.unique(np.concatenate([floor_top(dense, 100), floor_top(lexical, 100)]))
        one, other = dense[pool], lexical[pool]
        fused = (one - one.mean()) / one.std() + (other - other.mean()) / other.std()
        return pool[floor_top(fused, limit)]


async def measure(folder: Path, vectors: np.ndarray, words: np.ndarray, queries: int) -> dict[str, float]:
    rng = np.random.default_rng(2)
    analyzer = Analyzer()
    asked = []
    for _ in range(queries):
        row = int(rng.integers(len(words)))
        chosen = [word(0), *map(word, rng.choice(np.unique(words[row][words[row] > 0]), 4, replace=False).tolist())]
        asked.append((" ".join(chosen), (vectors[row] + 0.05 * rng.standard_normal(DIMENSIONS)).astype(np.float32)))
    embedder = Given(dict(asked))
    async with await SqliteStore.open(folder, create=False) as store:
        index = Index(store, analyzer, folder / "index")
        snapshot = await index.refresh()
        names = list({one for text, _ in asked for one in text.split()})
        floor = Floor(
            np.ascontiguousarray(np.concatenate(snapshot.segments)),
            merged(snapshot.pieces),
            snapshot.lengths.astype(np.float64),
            await store.term_ids(names),
        )
        times: dict[str, list[float]] = {}

        def took(name: str, start: float) -> None:
            times.setdefault(name, []).append((time.perf_counter() - start) * 1000)

        for turn, (text, vector) in enumerate([*asked[:5], *asked]):
            if turn == 5:
                times.clear()  # the first five only warm up
            query, split = Query(text), text.split()
            fused = Fused([Dense(embedder), Lexical()])
            for name, retriever, bare in (
                ("dense", Dense(embedder), lambda v=vector: floor.dense(v, 10)),
                ("bm25", Lexical(), lambda s=split: floor.bm25(s, 10)),
                ("hybrid", fused, lambda v=vector, s=split: floor.hybrid(v, s, 10)),
            ):
                await embedder.embed([text], role="query")
                start = time.perf_counter()
                view = await index.view(query, ME)
                ranking = await retriever.search(query, view, 10)
                took(f"{name}.citewell", start)
                start = time.perf_counter()
                found = bare()
                took(f"{name}.floor", start)
                if name != "hybrid":
                    assert (
                        np.allclose(sorted(snapshot.positions(ranking.rows)), sorted(found))
                        or len(set(snapshot.positions(ranking.rows).tolist()) & set(found.tolist())) >= 9
                    ), name
    return {name: statistics.median(held) for name, held in times.items()}


def label(rows: int) -> str:
    return f"{rows // 1000}k" if rows % 1000 == 0 else str(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5, help="of the cold start")
    parser.add_argument("--keep", type=Path, help="folder for the knowledge bases, used again by the next run")
    chosen = parser.parse_args()
    figures: dict[str, Any] = {"python": platform.python_version(), "numpy": np.__version__, "cpus": os.cpu_count()}
    print(f"{'case':14}{'citewell':>12}{'floor':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as temporary:
        for rows in chosen.rows:
            size = label(rows)
            folder = (chosen.keep or Path(temporary)) / size
            vectors, words = corpus(rows)
            if not (folder / "citewell.db").exists():
                folder.mkdir(parents=True, exist_ok=True)
                asyncio.run(fill(folder, vectors, words))
            own = cold_start(folder, vectors[0], " ".join(map(word, words[0][:5].tolist())), rows, chosen.repeats)
            figures[f"cold_start_{size}.citewell.own_s"] = round(own, 4)
            print(f"{'cold ' + size:14}{own:10.3f} s", flush=True)
            took = asyncio.run(measure(folder, vectors, words, chosen.queries))
            for name in ("dense", "bm25", "hybrid"):
                ours, bare = took[f"{name}.citewell"], took[f"{name}.floor"]
                figures[f"{name}_{size}.citewell.p50_ms"] = round(ours, 4)
                figures[f"{name}_{size}.floor.p50_ms"] = round(bare, 4)
                print(f"{name + ' ' + size:14}{ours:9.3f} ms{bare:9.3f} ms{ours / bare:8.2f}", flush=True)
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
