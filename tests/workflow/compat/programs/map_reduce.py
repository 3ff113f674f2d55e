"""Map and reduce by lists of events, inside another workflow that runs it for each document."""

import asyncio

from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent


class Document(StartEvent):
    text: str


class Word(Event):
    word: str


class Length(Event):
    n: int


class CountLetters(Workflow):
    @step
    async def split(self, ev: Document) -> list[Word]:
        return [Word(word=word) for word in ev.text.split()]

    @step(num_workers=2)
    async def measure(self, ev: Word) -> Length:
        await asyncio.sleep(0)
        return Length(n=len(ev.word))

    @step
    async def add(self, lengths: list[Length]) -> StopEvent:
        return StopEvent(result=sum(length.n for length in lengths))


class Documents(Workflow):
    def __init__(self, counter: Workflow, **options: object) -> None:
        super().__init__(**options)
        self.counter = counter

    @step
    async def count(self, ev: StartEvent) -> StopEvent:
        counts = await asyncio.gather(*(self.counter.run(text=text) for text in ev.texts))
        return StopEvent(result=list(counts))


async def main() -> object:
    return await Documents(CountLetters(timeout=10), timeout=10).run(texts=["a bb ccc", "", "dddd"])


EXPECTED = [6, 0, 4]
