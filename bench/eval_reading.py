"""How well files are read: facts found, tables recognised, bad inputs survived, places that hold, and speed.

    python bench/eval_reading.py [--data FOLDER] [PART...]

Every folder under the data folder (or the folder itself) is measured as what it is: a `manifest.jsonl` whose rows have
`expected` facts, one whose rows say what to `accept` of bad input, or `tables.jsonl.gz` beside `pdfs`. Parts are the
names of such folders, and `invariants`, `pdf`, `html`, `docx`, `xlsx`, `pptx`, `text` and `folder`. All is read by
`Readers`, as a user has it.

`html`, `docx`, `xlsx` and `pptx` are measured on made-up files of which all is known (`citewell.testing`): the main
text of web pages; headings with their level and number; cells with address, text as shown, reach, seen or hidden; the
text of slides as what it is (title, item, cell, notes and so on). CI holds floors of all four.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import itertools
import json
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from reading_made_up import main_text, slide_text, word_headings, workbook_cells

from citewell.config import EmbeddingSettings, Settings, assemble
from citewell.errors import ReadError
from citewell.evaluation.adjacency import GridCell, f1, relations
from citewell.evaluation.facts import holds, lines_found
from citewell.reading.readers import Readers, default_factories
from citewell.testing.place_laws import misplaced, unfaithful
from citewell.types import BlockKind, Document, Principal, Source

ROOT = Path(__file__).resolve().parent.parent
HUNG_S = 30.0
MEMORY_BYTES = 1 << 30
PARSERS = ("liteparse", "pypdfium2", "markdown-it-py", "lxml", "kreuzberg", "python-calamine", "citewell-ppocr")


def rows(folder: Path) -> list[dict[str, Any]]:
    """The lines of a manifest."""
    file = folder / "manifest.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


def facts(folder: Path, readers: Readers, *, loud: bool) -> dict[str, float]:
    """The share of facts found and of files read, by format too; and of the lines of pictures whose lines are known."""
    found: dict[str, list[bool]] = defaultdict(list)
    kinds: dict[str, list[bool]] = defaultdict(list)
    read: list[bool] = []
    pictured = [0.0, 0.0]
    for row in rows(folder):
        source = Source(Path(row["file"]).name, (folder / row["file"]).read_bytes())
        document, error = read_with_parts(readers, source)
        refused = [fact for fact in row["expected"] if fact["kind"] == "error"]
        if not refused:
            read.append(document is not None)
        if row.get("needs_ocr") and str(row.get("ground_truth", "")).endswith(".txt"):
            lines = (folder / row["ground_truth"]).read_text(encoding="utf-8").splitlines()
            pictured[0] += len(lines) * (lines_found(lines, document) if document else 0.0)
            pictured[1] += len(lines)
        missing = []
        for fact in row["expected"]:
            if fact["kind"] == "error":
                right = error is not None and error.kind == fact["value"]
            else:
                right = document is not None and holds(fact, document)
            found[row["format"]].append(right)
            kinds[fact["kind"]].append(right)
            if not right:
                missing.append(fact)
        if loud and error is not None and not refused:
            print(f"  {source.uri}: not read, {error.kind}: {error}")
        if loud and missing:
            print(f"  {source.uri}: lacks {json.dumps(missing, ensure_ascii=False)[:400]}")
    every = [one for held in found.values() for one in held]
    figures = {"facts": _share(every), "read": _share(read)}
    figures |= {f"facts.{name}": _share(held) for name, held in found.items()}
    said = ""
    if pictured[1]:
        figures["ocr_lines"] = pictured[0] / pictured[1]
        said = f"; {figures['ocr_lines']:.1%} of {pictured[1]:.0f} lines of pictures"
    shown = ", ".join(f"{name} {sum(held)}/{len(held)}" for name, held in sorted(kinds.items()))
    print(f"{folder.name}: {sum(every)}/{len(every)} facts, {sum(read)}/{len(read)} files read; {shown}{said}")
    return {f"{folder.name}.citewell.{key}": value for key, value in figures.items()}


def read_with_parts(readers: Readers, source: Source) -> tuple[Document | None, ReadError | None]:
    """The document, or why there is none."""
    try:
        return readers.read(source), None
    except ReadError as error:
        return None, error


def tables(folder: Path, readers: Readers, *, loud: bool) -> dict[str, float]:
    """Adjacency relations of the tables of each PDF, all tables of a document together."""
    true: dict[str, Counter[tuple[str, str, str]]] = defaultdict(Counter)
    with gzip.open(folder / "tables.jsonl.gz", "rt", encoding="utf-8") as lines:
        for table in map(json.loads, lines):
            cells = (
                GridCell(cell["row"], cell["col"], cell["row_end"], cell["col_end"], cell["text"])
                for cell in table["cells"]
            )
            true[table["doc"]] += relations(cells)
    scores = []
    for name, truth in sorted(true.items()):
        document, _ = read_with_parts(readers, Source(name, (folder / "pdfs" / name).read_bytes()))
        found: Counter[tuple[str, str, str]] = Counter()
        for block in document.blocks if document else ():
            if block.kind is BlockKind.TABLE and document:
                found += relations(
                    GridCell(
                        cell.row,
                        cell.column,
                        cell.row + cell.row_span - 1,
                        cell.column + cell.column_span - 1,
                        cell.span.of(document.text),
                    )
                    for cell in block.cells
                )
        scores.append(f1(found, truth))
        if loud:
            print(f"  {name}: {scores[-1]:.3f}")
    print(f"{folder.name}: adjacency F1 {sum(scores) / len(scores):.4f} over {len(scores)} documents")
    return {f"{folder.name}.citewell.adjacency_f1": sum(scores) / len(scores)}


def bad_inputs(folder: Path, *, loud: bool) -> dict[str, float]:
    """Each file in a process of its own, whose whole tree is watched."""
    accepted, crashed, hung, over, peaks = [], 0, 0, 0, []
    for row in rows(folder):
        outcome, peak, said = watched(folder / row["file"], row.get("upload_name") or Path(row["file"]).name)
        right = outcome == "answered" and any(_accepts(one, said) for one in row["accept"])
        accepted.append(right)
        peaks.append(peak)
        crashed += outcome == "crashed"
        hung += outcome == "hung"
        over += peak > MEMORY_BYTES
        if loud and not (right and peak <= MEMORY_BYTES):
            told = {key: str(value)[:100] for key, value in said.items()}
            print(f"  {row['file']}: {outcome} {told} {peak >> 20} MiB; accepts {row['accept']}")
    print(
        f"{folder.name}: {sum(accepted)}/{len(accepted)} accepted, {crashed} crashed, {hung} hung, "
        f"{over} over memory, peak {max(peaks) >> 20} MiB"
    )
    bombs = [folder / row["file"] for row in rows(folder) if "bomb" in row["category"]]
    figures = {
        **(asyncio.run(searched_meanwhile(bombs)) if bombs else {}),
        "accepted": _share(accepted),
        "crashed": crashed,
        "hung": hung,
        "over_memory": over,
        "peak_mib": max(peaks) / 2**20,
    }
    return {f"{folder.name}.citewell.{key}": value for key, value in figures.items()}


async def searched_meanwhile(bombs: Sequence[Path]) -> dict[str, float]:
    """The 95th percentile of a search while ten bombs are read at a time, as a multiple of that while none is.

    Both are taken in turns, in one process and knowledge base, because the machine is not ours alone.
    """
    settings = Settings(embedding=EmbeddingSettings(provider="hashing"))
    idle: list[float] = []
    busy: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with await assemble(Path(folder) / "kb", settings, principal=Principal.local()) as engine:
            prose = samples(200_000)["md"].split(b"\n\n## ")
            await engine.ingest_sources(Source(f"{at}.md", b"## " + one) for at, one in enumerate(prose[:200]))

            async def search(times: list[float]) -> None:
                began = time.perf_counter()
                await engine.search("etain shord")
                times.append(time.perf_counter() - began)
                await asyncio.sleep(0.005)

            for _ in range(20):
                await search([])
            for turn in range(3):
                for _ in range(200):
                    await search(idle)
                ten = [Source(f"{turn}-{at}", bombs[at % len(bombs)].read_bytes()) for at in range(10)]
                reading = asyncio.ensure_future(engine.ingest_sources(ten))
                while not reading.done():
                    await search(busy)
                await reading
    p95 = [sorted(times)[int(0.95 * len(times))] for times in (idle, busy)]
    print(f"search while bombs are read: p95 {1000 * p95[1]:.1f} ms ({len(busy)}), idle {1000 * p95[0]:.1f} ms")
    return {"search_p95_over_idle": p95[1] / p95[0], "searches_meanwhile": len(busy)}


def _accepts(wanted: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    if wanted["outcome"] == "error":
        return said.get("error") in wanted["kinds"]
    text = said.get("text")
    if text is None or any(_plain(one) in text for one in wanted.get("must_not_contain", ())):
        return False
    return all(_plain(one) in text for one in wanted.get("contains", ()))


def watched(file: Path, name: str) -> tuple[str, int, dict[str, Any]]:
    """`answered`, `crashed` or `hung`, the peak of resident bytes of the process tree, and what it said."""
    command = [sys.executable, str(Path(__file__).resolve()), "--one", str(file), "--name", name]
    # A file, not a pipe: what it says may be longer than a pipe holds while nobody reads.
    place = ROOT / "build" / "eval-reading.answer"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as answer:
        child = subprocess.Popen(command, stdout=answer, stderr=subprocess.DEVNULL, start_new_session=True)
        peak, deadline = 0, time.monotonic() + HUNG_S
        while child.poll() is None and time.monotonic() < deadline:
            peak = max(peak, _resident(child.pid))
            time.sleep(0.02)
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return "hung", peak, {}
    if child.returncode:
        return "crashed", peak, {}
    return "answered", peak, json.loads(place.read_text(encoding="utf-8"))


def one(file: str, name: str) -> None:
    """Print what search and model would get of one file, with what is inside it, as JSON."""
    readers = Readers()
    document, error = read_with_parts(readers, Source(name, Path(file).read_bytes()))
    if document is None:
        print(json.dumps({"error": error.kind if error is not None else ""}))
    else:
        texts, inside = [_seen(document)], list(document.attachments)
        while inside and len(texts) < 1000:
            part, _ = read_with_parts(readers, inside.pop(0))
            if part:
                texts.append(_seen(part))
                inside += part.attachments
        print(json.dumps({"text": _plain("\n".join(texts))}))
    readers.close()


def _seen(document: Document) -> str:
    # The title is the context of every node.
    return "\n".join([document.title, *(block.span.of(document.text) for block in document.blocks if not block.hidden)])


def invariants(folders: list[Path], readers: Readers, *, loud: bool) -> dict[str, float]:
    """The share of nodes whose text is under their span and whose blocks can be shown in the source."""
    from citewell.models.hashing import HashEmbedder
    from citewell.splitting.sections import Sections

    splitter = Sections(HashEmbedder())
    held = nodes = 0
    off: Counter[str] = Counter()
    for folder in folders:
        for row in rows(folder):
            source = Source(Path(row["file"]).name, (folder / row["file"]).read_bytes())
            document, _ = read_with_parts(readers, source)
            if document is None:
                continue
            wrong = list(misplaced(document, source))
            for node in splitter.split(document):
                nodes += 1
                bad = unfaithful(document, node)
                lost = next((said for block, said in wrong if block.span.overlaps(node.span)), "")
                held += not (bad or lost)
                if bad or lost:
                    off[f"{document.reader}: {bad or lost}"] += 1
                    if loud and off[f"{document.reader}: {bad or lost}"] < 3:
                        print(f"  {source.uri}: {bad or lost}: {node.text[:60]!r}")
    print(f"invariants: {held}/{nodes} nodes hold{'; ' + str(dict(off)) if off else ''}")
    return {"invariants.citewell.held": held / nodes} if nodes else {}


def pdf_speed(folders: list[Path]) -> dict[str, float]:
    """Pages a CPU second of the PDF reader beside bare liteparse, in turns, in this process."""
    import liteparse

    from citewell.reading.pdf import PdfReader

    bare = liteparse.LiteParse(
        ocr_enabled=False,
        quiet=True,
        num_workers=1,
        extract_blocks=True,
        extract_structure_tree=True,
        extract_text_metadata=True,
        keep_headers_footers=True,
        extract_links=False,
    )
    ours = PdfReader(ocr="none")  # like with like: the words in pictures are not looked for
    spent: dict[str, float] = defaultdict(float)
    pages = 0
    for _ in range(3):
        for folder in folders:
            for row in rows(folder):
                content = (folder / row["file"]).read_bytes()
                if row.get("format") != "pdf" or row.get("needs_ocr") or not row.get("text_layer_chars"):
                    continue
                try:
                    started = time.process_time()
                    made = ours.read(Source("x", content))
                    between = time.process_time()
                    bare.parse(content)
                    ended = time.process_time()
                except (ReadError, liteparse.ParseError):
                    continue
                spent["citewell"] += between - started
                spent["liteparse"] += ended - between
                pages += made.pages or 0
    if not pages:
        return {}
    figures = {f"pdf.{name}.pages_per_cpu_s": pages / seconds for name, seconds in spent.items()}
    ratio = spent["citewell"] / spent["liteparse"]
    print(f"pdf: {figures} pages a CPU second; {ratio:.2f} times bare liteparse")
    return figures | {"pdf.citewell.times_liteparse": ratio}


def text_speed() -> dict[str, float]:
    """Megabytes a CPU second from bytes to document, of made-up prose in each format that is all text."""
    # In this process, whatever their size: the CPU time of workers does not show here.
    factories = {kind: tuple(replace(one, pool=None) for one in made) for kind, made in default_factories().items()}
    readers = Readers(factories)
    figures = {}
    for name, content in samples(4_000_000).items():
        best = 0.0
        for _ in range(3):
            started = time.process_time()
            readers.read(Source(f"sample.{name}", content))
            best = max(best, len(content) / 1e6 / (time.process_time() - started))
        figures["text" if name == "txt" else name] = best
    print("MB a CPU second: " + ", ".join(f"{name} {speed:.0f}" for name, speed in figures.items()))
    return {f"{name}.citewell.mb_per_cpu_s": speed for name, speed in figures.items()}


def folder_speed(folders: list[Path]) -> dict[str, float]:
    """How many cores reading 200 mixed files keeps busy: files as they come, and made-up prose in every text format.

    On a machine that others use too, `workers_share` says more: what is not in workers runs on one core at a time.
    """
    found = [folder / row["file"] for folder in folders for row in rows(folder) if row.get("format") != "image"]
    made = samples(100_000)
    with tempfile.TemporaryDirectory() as place:
        mixed = Path(place) / "mixed"
        mixed.mkdir()
        for number, file in zip(range(100), itertools.cycle(found), strict=False):
            (mixed / f"{number:03}-{file.name}").write_bytes(file.read_bytes() + b"\n" * (number // max(len(found), 1)))
        for number, (suffix, content) in zip(range(100), itertools.cycle(made.items()), strict=False):
            (mixed / f"made-{number:03}.{suffix}").write_bytes(content[number:])
        size = sum(file.stat().st_size for file in mixed.iterdir())
        sources = [Source(file.name, file.read_bytes()) for file in sorted(mixed.iterdir())]
    readers = Readers()
    started, here, below = time.perf_counter(), _cpu_s(resource.RUSAGE_SELF), _cpu_s(resource.RUSAGE_CHILDREN)
    with ThreadPoolExecutor() as pool:  # as many threads as asyncio.to_thread has, which ingestion reads in
        read = sum(document is not None for document, _ in pool.map(partial(read_with_parts, readers), sources))
    wall = time.perf_counter() - started
    readers.close()  # the workers' time counts once they have ended
    here, below = _cpu_s(resource.RUSAGE_SELF) - here, _cpu_s(resource.RUSAGE_CHILDREN) - below
    cores = len(os.sched_getaffinity(0))
    figures = {
        "cores_used": (here + below) / wall,
        "mb_per_s": size / 1e6 / wall,
        "workers_share": below / (here + below),
    }
    print(
        f"folder: {read} of {len(sources)} files read in {wall:.1f} s; {figures['cores_used']:.2f} of {cores} cores "
        f"used, {figures['workers_share']:.0%} of the time in workers"
    )
    return {f"folder.citewell.{name}": value for name, value in figures.items()}


def _cpu_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def samples(size: int) -> dict[str, bytes]:
    """Prose of about `size` bytes as text, Markdown, HTML and CSV; the same on every run."""
    chance = random.Random(7)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(3000)]

    def sentence() -> str:
        return " ".join(chance.choices(words, k=chance.randint(6, 20))).capitalize() + "."

    sections: list[str] = []
    while sum(len(section) for section in sections) < size:
        paragraphs = ["\n".join(sentence() for _ in range(5)) for _ in range(6)]
        sections.append("\n\n".join(paragraphs))
        if len(sections) % 50 == 0:
            sections *= 2
    plain = "\n\n".join(sections)
    marked = "\n\n".join(f"## {section[:30]}\n\n{section}\n\n- one *item*\n- two" for section in sections)
    paged = "".join(f"<h2>{one[:30]}</h2><p>{one.replace(chr(10) * 2, '</p><p>')}</p>" for one in sections)
    lines = plain.split("\n")
    table = "name,said,number\n" + "\n".join(f"n{number},{line[:60]},{number}" for number, line in enumerate(lines))
    return {
        "txt": plain.encode(),
        "md": marked.encode(),
        "html": f"<html><body><main>{paged}</main></body></html>".encode(),
        "csv": table.encode(),
    }


def _resident(pid: int) -> int:
    """Resident bytes of a process and all below it."""
    total, queue = 0, [pid]
    while queue:
        at = queue.pop()
        try:
            total += int(Path(f"/proc/{at}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for task in os.listdir(f"/proc/{at}/task"):
                queue += map(int, Path(f"/proc/{at}/task/{task}/children").read_text().split())
        except (OSError, IndexError, ValueError):
            continue
    return total


def _share(held: list[bool]) -> float:
    return sum(held) / len(held) if held else 0.0


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PARSERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = "folders by name, invariants, pdf, html, docx, xlsx, pptx, text, folder (default: all)"
    parser.add_argument("parts", nargs="*", help=parts)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CITEWELL_DATA", ROOT / "../shared/data")))
    parser.add_argument("--verbose", "-v", action="store_true", help="name what was not found")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one, arguments.name)
        return 0
    folders = [arguments.data, *sorted(arguments.data.iterdir())] if arguments.data.is_dir() else []
    first = {folder: (rows(folder) or [{}])[0] for folder in folders if folder.is_dir()}
    with_facts = [folder for folder, row in first.items() if "expected" in row]
    loud = arguments.verbose
    readers = Readers()
    work: dict[str, Callable[[], dict[str, float]]] = {}
    for folder, row in first.items():
        if "expected" in row:
            work[folder.name] = lambda at=folder: facts(at, readers, loud=loud)  # type: ignore[misc]
        elif "accept" in row:
            work[folder.name] = lambda at=folder: bad_inputs(at, loud=loud)  # type: ignore[misc]
        elif (folder / "tables.jsonl.gz").is_file():
            work[folder.name] = lambda at=folder: tables(at, readers, loud=loud)  # type: ignore[misc]
    work["invariants"] = lambda: invariants(with_facts, readers, loud=loud)
    work["pdf"] = lambda: pdf_speed(with_facts)
    work["html"] = lambda: main_text(readers)
    work["docx"] = lambda: word_headings(readers, loud=loud)
    work["xlsx"] = lambda: workbook_cells(readers, loud=loud)
    work["pptx"] = lambda: slide_text(readers, loud=loud)
    work["text"] = text_speed
    work["folder"] = lambda: folder_speed(with_facts)
    if unknown := [name for name in arguments.parts if name not in work]:
        print(f"No {', '.join(unknown)} under {arguments.data}; there are {', '.join(work)}.", file=sys.stderr)
        return 1
    file = ROOT / "build/figures/eval-reading.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = json.loads(file.read_text()) if arguments.parts and file.is_file() else {}
    for name in arguments.parts or work:
        figures |= work[name]()
        shown = {key: round(value, 5) for key, value in sorted(figures.items()) if isinstance(value, int | float)}
        file.write_text(json.dumps(_versions() | shown, indent=1))
    readers.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
