"""Every reader keeps the contract of Reader: the one of each type, the dispatcher, and readers in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from contract_sources import sources

from citewell.protocols import Reader
from citewell.reading.csv_ import CsvReader
from citewell.reading.docx import DocxReader
from citewell.reading.faq import FaqReader
from citewell.reading.html import HtmlReader
from citewell.reading.isolation import Isolated
from citewell.reading.markdown import MarkdownReader
from citewell.reading.pdf import PdfReader
from citewell.reading.readers import Readers
from citewell.reading.text import TextReader
from citewell.testing.document_laws import assert_document
from citewell.testing.reader_contract import CASES
from citewell.types import Source

READERS = {
    "txt": TextReader,
    "md": MarkdownReader,
    "html": HtmlReader,
    "csv": CsvReader,
    "json": FaqReader,
    "pdf": PdfReader,
    "docx": DocxReader,
}


@contextmanager
def closing(make: Callable[[], Reader]) -> Iterator[Callable[[], Reader]]:
    """A maker whose readers are closed in the end."""
    made: list[Reader] = []

    def one() -> Reader:
        made.append(make())
        return made[-1]

    try:
        yield one
    finally:
        for reader in made:
            reader.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("suffix", READERS)
def test_the_reader_of_a_type_keeps_the_contract(suffix, case):
    case(READERS[suffix], sources(suffix))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_dispatcher_keeps_the_contract(case):
    every = [source for suffix in READERS for source in sources(suffix)[:1]]
    with closing(Readers) as make:
        case(make, every)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("suffix", ["md", "docx"])
def test_a_reader_in_worker_processes_keeps_the_contract(suffix, case):
    with closing(lambda: Isolated(READERS[suffix])) as make:
        case(make, sources(suffix)[:1])


@pytest.mark.xfail(strict=True, reason="an answer under an empty question becomes a FAQ block without a question")
@pytest.mark.parametrize("suffix", ["txt", "md"])
def test_an_answer_without_its_question_is_no_pair(suffix):
    source = Source(f"file:///faq.{suffix}", b"Q: \nA: Twice a year.\n")
    assert_document(READERS[suffix]().read(source), source)
