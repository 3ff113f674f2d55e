"""Retrieve, rerank, answer: injected resources, retries with backoff, a fallback, a typed stop event."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field
from workflows import Context, Workflow, catch_error, step
from workflows.events import Event, StartEvent, StepFailedEvent, StopEvent
from workflows.resource import Resource
from workflows.retry_policy import retry_if_exception_type, retry_policy, stop_after_attempt, wait_fixed


class Index:
    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.failures = 2

    async def search(self, word: str) -> list[str]:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("busy")
        return [text for text in self.texts if word in text]


class Reranker:
    def rerank(self, texts: list[str]) -> list[str]:
        raise MemoryError("model does not fit")


def load_texts() -> list[str]:
    return ["keys rotate", "doors close", "keys open doors"]


def open_index(texts: Annotated[list[str], Resource(load_texts)]) -> Index:
    return Index(texts)


async def load_reranker() -> Reranker:
    return Reranker()


class Question(StartEvent):
    word: str
    limit: int = Field(default=2, ge=1)


class Retrieved(Event):
    texts: list[str]


class Ranked(Event):
    texts: list[str]


class Answer(StopEvent):
    text: str
    sources: list[str]


class Trace(BaseModel):
    attempts: int = 0
    fell_back: bool = False


class Rag(Workflow):
    @step(
        retry_policy=retry_policy(
            retry=retry_if_exception_type(ConnectionError), wait=wait_fixed(0.001), stop=stop_after_attempt(5)
        )
    )
    async def retrieve(
        self, ctx: Context[Trace], ev: Question, index: Annotated[Index, Resource(open_index)]
    ) -> Retrieved:
        async with ctx.store.edit_state() as trace:
            trace.attempts += 1
        return Retrieved(texts=await index.search(ev.word))

    @step
    def rerank(self, ev: Retrieved, reranker: Annotated[Reranker, Resource(load_reranker)]) -> Ranked:
        return Ranked(texts=reranker.rerank(ev.texts))

    @catch_error(for_steps=["rerank"])
    async def keep_order(self, ctx: Context[Trace], ev: StepFailedEvent) -> Ranked:
        await ctx.store.set("fell_back", True)
        return Ranked(texts=ev.input_event.texts)

    @step
    async def answer(self, ctx: Context[Trace], ev: Ranked) -> Answer:
        return Answer(text=ev.texts[0], sources=ev.texts)


async def main() -> object:
    handler = Rag(timeout=10).run(start_event=Question(word="keys"))
    answer = await handler
    trace = await handler.ctx.store.get_state()
    return answer.text, answer.sources, trace.attempts, trace.fell_back


EXPECTED = ("keys rotate", ["keys rotate", "keys open doors"], 3, True)
