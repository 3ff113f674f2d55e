"""The client of an embeddings endpoint, against a real server on the loopback."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.errors import ConfigError, ModelUnavailable
from citewell.models import remote
from citewell.models.remote import OpenAIEmbedder

KEY = "sk-very-secret"


@dataclass
class Endpoint:
    """Answers with `script`, one entry a request: a status, a body, or both; then as a good endpoint would."""

    url: str = ""
    script: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    pause_s: float = 0

    def embedder(self, **settings: Any) -> OpenAIEmbedder:
        return OpenAIEmbedder(
            "small", self.url, KEY, **{"dimensions": 3, "batch_size": 2, "timeout_s": 5.0, "attempts": 3, **settings}
        )


def vector(text: str) -> list[float]:
    return [float(len(text)), 1.0, 0.0]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    state = Endpoint()
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append({"path": self.path, **request})
            state.keys.append(self.headers.get("Authorization"))
            if state.pause_s:
                released.wait(state.pause_s)
            data = [{"index": row, "embedding": vector(text)} for row, text in enumerate(request["input"])]
            status, headers, answer = state.script.pop(0) if state.script else (200, {}, {"data": data[::-1]})
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, noted down instead of waited for."""
    taken: list[float] = []

    async def note(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(remote.asyncio, "sleep", note)
    return taken


def embed(embedder: OpenAIEmbedder, texts: list[str]) -> np.ndarray:
    return asyncio.run(embedder.embed(texts, role="query"))


def test_vectors_are_unit_and_in_the_order_of_the_texts_whatever_the_endpoint_does(endpoint: Endpoint) -> None:
    texts = ["a", "bbb", "", "cc", "ddddd"]
    vectors = embed(endpoint.embedder(), texts)
    expected = np.array([vector(text or " ") for text in texts])
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True), abs=1e-6)
    assert [len(request["input"]) for request in endpoint.requests] == [2, 2, 1]
    assert {request["path"] for request in endpoint.requests} == {"/v1/embeddings"}
    assert set(endpoint.keys) == {f"Bearer {KEY}"}


def test_no_texts_need_no_request(endpoint: Endpoint) -> None:
    assert embed(endpoint.embedder(), []).shape == (0, 3)
    assert endpoint.requests == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_endpoint_is_asked_again(endpoint: Endpoint, pauses: list[float], status: int) -> None:
    endpoint.script = [(status, {}, {}), (status, {"Retry-After": "7"}, {})]
    assert embed(endpoint.embedder(), ["a"]).shape == (1, 3)
    assert len(endpoint.requests) == 3
    assert 0.25 <= pauses[0] <= 0.5
    assert pauses[1] == 7


def test_an_unreasonable_retry_after_is_cut(endpoint: Endpoint, pauses: list[float]) -> None:
    endpoint.script = [
        (429, {"Retry-After": "86400"}, {}),
        (429, {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}, {}),
        (429, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, {}),
        (429, {"Retry-After": "soon"}, {}),
    ]
    embed(endpoint.embedder(attempts=5), ["a"])
    assert pauses[:3] == [60, 60, 0]
    assert pauses[3] <= 4


def test_after_all_attempts_the_error_tells_how_many_and_why_but_never_the_key(
    endpoint: Endpoint, pauses: list[float]
) -> None:
    endpoint.script = [(503, {}, {"error": f"bad key {KEY}"})] * 3
    with pytest.raises(ModelUnavailable, match="503") as caught:
        embed(endpoint.embedder(), ["a"])
    assert caught.value.attempts == 3
    assert caught.value.last_error == "HTTP status 503"
    assert len(pauses) == 2
    assert KEY not in str(caught.value) + repr(endpoint.embedder())


def test_a_refusal_is_not_tried_again(endpoint: Endpoint, pauses: list[float]) -> None:
    endpoint.script = [(401, {}, {"error": KEY})]
    with pytest.raises(ModelUnavailable, match="401") as caught:
        embed(endpoint.embedder(), ["a"])
    assert caught.value.attempts == 1
    assert pauses == []


def test_a_silent_endpoint_times_out(endpoint: Endpoint, pauses: list[float]) -> None:
    endpoint.pause_s = 2
    with pytest.raises(ModelUnavailable, match="ReadTimeout") as caught:
        embed(endpoint.embedder(timeout_s=0.1, attempts=2), ["a"])
    assert caught.value.attempts == 2


def test_a_closed_port_is_unavailable(pauses: list[float]) -> None:
    with pytest.raises(ModelUnavailable, match="ConnectError"):
        embed(OpenAIEmbedder("small", "http://127.0.0.1:1/v1", KEY, attempts=2), ["a"])


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"data": [{"index": 0, "embedding": [1.0, 2.0]}]}, "2 dimensions, not 3"),
        ({"data": [{"index": 0, "embedding": [0.0, 0.0, 0.0]}]}, "zero or not finite"),
        ({"data": [{"index": 0, "embedding": [1.0, float("nan"), 0.0]}]}, "zero or not finite"),
        ({"data": [{"index": 1, "embedding": [1.0, 2.0, 3.0]}]}, "one vector for each"),
        ({"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}] * 2}, "one vector for each"),
        ({"data": []}, "one vector for each"),
        ({"data": [{"index": 0, "embedding": "AAAA"}]}, "form of embeddings"),
        ({"error": "no"}, "form of embeddings"),
        ([1], "form of embeddings"),
        (b"<html>", "form of embeddings"),
        (b"\xff\xfe\xff", "form of embeddings"),
    ],
)
def test_an_answer_that_does_not_fit_the_request_is_refused(endpoint: Endpoint, answer: Any, complaint: str) -> None:
    endpoint.script = [(200, {}, answer)]
    with pytest.raises(ModelUnavailable, match=complaint):
        embed(endpoint.embedder(), ["a"])


def test_without_httpx_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ModelUnavailable, match=r"citewell\[remote\]"):
        embed(OpenAIEmbedder("small", "http://127.0.0.1:1"), ["a"])


def test_impossible_settings_are_refused_at_once() -> None:
    with pytest.raises(ConfigError):
        OpenAIEmbedder("small", "127.0.0.1:1")
    with pytest.raises(ConfigError):
        OpenAIEmbedder("small", "http://127.0.0.1:1", attempts=0)


def test_the_identity_tells_endpoints_apart_and_keeps_the_key_out() -> None:
    one = OpenAIEmbedder("small", "https://one.example/v1", KEY)
    two = OpenAIEmbedder("small", "https://two.example/v1", KEY)
    assert one.identity != two.identity
    assert KEY not in one.identity


@given(st.text())
def test_token_starts_ascend_and_point_at_visible_characters(text: str) -> None:
    starts = list(OpenAIEmbedder("small", "http://127.0.0.1:1").token_starts(text))
    assert starts == sorted(set(starts))
    assert all(not text[start].isspace() for start in starts)
