"""Every embedder keeps the contract of Embedder, and that of Tokenizer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from contract_endpoint import DIMENSIONS, endpoint

from citewell.models.hashing import HashEmbedder
from citewell.models.minilm import MiniLM
from citewell.models.remote import OpenAIEmbedder
from citewell.protocols import Embedder
from citewell.testing.embedder_contract import CASES, what_stands_after_max_tokens_is_not_seen
from citewell.testing.tokenizer_contract import CASES as TOKENIZER_CASES


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    pytest.importorskip("httpx")
    with endpoint() as started:
        yield started


def local(make: Callable[[], Embedder]) -> Callable[[pytest.FixtureRequest], Callable[[], Embedder]]:
    return lambda request: make


def remote(request: pytest.FixtureRequest) -> Callable[[], Embedder]:
    found = request.getfixturevalue("url")
    return lambda: OpenAIEmbedder("small", found, "key", dimensions=DIMENSIONS, batch_size=3, max_tokens=100)


MAKERS = {
    "hash": local(lambda: HashEmbedder(64)),
    "minilm": local(lambda: MiniLM(threads=2, batch_tokens=512)),
    "openai": remote,
}
FAULTS = {
    ("openai", what_stands_after_max_tokens_is_not_seen): (
        "OpenAIEmbedder sends the whole text: an endpoint that does not cut refuses it, and the node with it"
    ),
}
PAIRS = [
    pytest.param(
        name,
        case,
        id=f"{name}-{case.__name__}",
        marks=[pytest.mark.xfail(strict=True, reason=FAULTS[name, case])] if (name, case) in FAULTS else [],
    )
    for name in MAKERS
    for case in CASES
]


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_an_embedder_keeps_the_contract(name, case, request):
    asyncio.run(case(MAKERS[name](request)))


@pytest.mark.parametrize("case", TOKENIZER_CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("name", MAKERS)
def test_an_embedder_keeps_the_contract_of_a_tokenizer(name, case, request):
    case(MAKERS[name](request))
