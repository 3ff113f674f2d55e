"""Whatever is encoded comes back equal, through real JSON text; what cannot is refused with its path."""

import asyncio
import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.workflow import (
    CodecError,
    Event,
    MemoryJournal,
    PlainEvent,
    PlainStartEvent,
    PlainStopEvent,
    StopEvent,
    Workflow,
    decode,
    encode,
    launch,
    step,
)


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    width: int


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    name: str
    children: tuple["Tree", ...] = ()
    left: Optional["Tree"] = None


@dataclasses.dataclass(frozen=True, slots=True)
class Everything(PlainEvent):
    text: str
    number: int
    real: float
    yes: bool
    nothing: None
    maybe: int | None
    colour: Colour
    mixed: Mixed
    rights: Rights
    literal: Literal["a", 1]
    when: datetime.datetime
    day: datetime.date
    clock: datetime.time
    span: datetime.timedelta
    raw: bytes
    exact: decimal.Decimal
    key: uuid.UUID
    path: pathlib.Path
    points: tuple[Point, ...]
    pair: tuple[int, str]
    sequence: Sequence[str]
    items: list[Point]
    names: frozenset[str]
    scores: Mapping[str, float]
    by_number: dict[int, Point]
    shape: Point | Box
    either: Point | Box | str | None
    scalar: int | str | bool
    annotated: Annotated[int, "unit"]
    tree: Tree
    free: Any


texts = st.text(max_size=5)
floats = st.floats(allow_nan=False)
points = st.builds(Point, floats, floats)
boxes = st.builds(Box, st.integers())
trees = st.recursive(
    st.builds(Tree, texts),
    lambda inner: st.builds(Tree, texts, st.lists(inner, max_size=2).map(tuple), st.none() | inner),
    max_leaves=4,
)
free = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
everything = st.builds(
    Everything,
    text=texts,
    number=st.integers(),
    real=floats,
    yes=st.booleans(),
    nothing=st.none(),
    maybe=st.none() | st.integers(),
    colour=st.sampled_from(Colour),
    mixed=st.sampled_from(Mixed),
    rights=st.sampled_from([Rights.READ, Rights.WRITE, Rights.READ | Rights.WRITE]),
    literal=st.sampled_from(["a", 1]),
    when=st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
    day=st.dates(),
    clock=st.times(),
    span=st.timedeltas(),
    raw=st.binary(max_size=5),
    exact=st.decimals(allow_nan=False),
    key=st.uuids(),
    path=st.sampled_from([pathlib.Path("a/b"), pathlib.Path("/")]),
    points=st.lists(points, max_size=2).map(tuple),
    pair=st.tuples(st.integers(), texts),
    sequence=st.lists(texts, max_size=2).map(tuple),
    items=st.lists(points, max_size=2),
    names=st.frozensets(texts, max_size=3),
    scores=st.dictionaries(texts, floats, max_size=2),
    by_number=st.dictionaries(st.integers(), points, max_size=2),
    shape=points | boxes,
    either=points | boxes | texts | st.none(),
    scalar=st.integers() | texts | st.booleans(),
    annotated=st.integers(),
    tree=trees,
    free=free,
)


@given(everything)
def test_every_event_comes_back_equal_through_json_text(event: Everything):
    back = decode(Everything, json.loads(json.dumps(encode(event))))
    assert back == event
    for field in dataclasses.fields(Everything):
        assert type(getattr(back, field.name)) is type(getattr(event, field.name)), field.name


@given(st.frozensets(st.integers()))
def test_sets_are_encoded_in_one_order(values: frozenset[int]):
    @dataclasses.dataclass(frozen=True)
    class Holder(PlainEvent):
        values: frozenset[int]

    assert encode(Holder(values)) == encode(Holder(frozenset(sorted(values, reverse=True))))


def test_numbers_that_json_does_not_know_come_back():
    for value in (float("inf"), float("-inf"), float("nan")):
        assert repr(decode(Point, json.loads(json.dumps(encode(Point(value)), allow_nan=False))).x) == repr(value)


def test_missing_fields_take_their_defaults():
    assert decode(Point, {"x": 1.5}) == Point(1.5, 0.0)


@pytest.mark.parametrize(
    ("kind", "payload", "message"),
    [
        (Point, {"y": 1.0}, "Point: Point lacks its field 'x'"),
        (Point, {"x": 1.0, "z": 1}, "Point: Point has no field 'z'"),
        (Point, {"x": "1"}, r"Point.x: str where float is declared"),
        (Point, [], "Point: list where an object"),
        (Tree, {"name": "a", "children": [{"name": 1}]}, r"Tree.children\[0\].name: int where str"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_with_its_path(kind: type, payload: Any, message: str):
    with pytest.raises(CodecError, match=message):
        decode(kind, payload)


@dataclasses.dataclass(frozen=True)
class Holds(PlainEvent):
    value: object


@dataclasses.dataclass(frozen=True)
class HoldsTask(PlainEvent):
    inner: tuple[asyncio.Task[None], ...] = ()


@dataclasses.dataclass(frozen=True)
class Colourful(PlainEvent):
    colour: Colour


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Holds({1, 2}), r"Holds.value: set has no JSON form"),
        (Holds(Point(1)), r"Holds.value: Point has no JSON form"),
        (HoldsTask(), r"HoldsTask.inner\[\]: .*Task.* has no JSON form. Use dataclasses"),
        (Colourful("red"), r"Colourful.colour: str where Colour is declared"),  # type: ignore[arg-type]
    ],
)
def test_a_value_that_would_not_come_back_is_refused_with_its_path(event: PlainEvent, message: str):
    with pytest.raises(CodecError, match=message):
        encode(event)
    with pytest.raises(CodecError, match=message):
        encode(event)


class PydanticGo(PlainStartEvent, pydantic.BaseModel):
    n: int = 0


class PydanticDone(PlainStopEvent, pydantic.BaseModel):
    result: int
    when: datetime.date


def test_pydantic_models_are_events_too():
    class Flow(Workflow):
        @step
        async def work(self, event: PydanticGo) -> PydanticDone:
            return PydanticDone(result=event.n + 1, when=datetime.date(2026, 1, 2))

    journal = MemoryJournal()

    async def main() -> int:
        return await launch(Flow(), PydanticGo(n=1), run_id="r", journal=journal)

    assert asyncio.run(main()) == 2
    stop = journal.entries["r"][1]
    assert stop.payload == {"result": 2, "when": "2026-01-02"}
    assert decode(PydanticDone, stop.payload) == PydanticDone(result=2, when=datetime.date(2026, 1, 2))


class Loose(Event):
    n: int
    colour: Colour = Colour.RED
    point: Point | None = None
    whatever: Any = None


class Stop(StopEvent):
    n: int = 0


anything = st.recursive(
    free | points | boxes | st.dates() | st.sampled_from(Colour) | st.binary(max_size=3) | st.decimals(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(texts | st.integers(), inner, max_size=2)
    ),
    max_leaves=4,
)
names = st.sampled_from(["extra", "other", "äöü", "$type", "result_"])


@given(
    st.builds(
        lambda n, colour, point, whatever, extra: Loose(n=n, colour=colour, point=point, whatever=whatever, **extra),
        st.integers(),
        st.sampled_from(Colour),
        st.none() | points,
        anything,
        st.dictionaries(names, anything, max_size=3),
    )
)
def test_events_with_free_fields_come_back_with_all_of_them_and_their_types(event: Loose):
    back = decode(Loose, json.loads(json.dumps(encode(event))))
    assert back == event
    assert [type(value) for value in back.values()] == [type(value) for value in event.values()]


@given(anything, st.integers(), st.dictionaries(names, anything, max_size=2))
def test_stop_events_come_back_with_their_results(result: Any, n: int, extra: dict[str, Any]):
    event = Stop(result, n=n, **extra)
    back = decode(Stop, json.loads(json.dumps(encode(event))))
    assert (back.result, back.n, back.to_dict()) == (result, n, event.to_dict())


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Loose(n=1, lock=object()), r"Loose.lock: object has no JSON form"),
        (Loose(n=1, whatever=[{"a": object()}]), r"Loose.whatever\[0\].a: object has no JSON form"),
        (Stop([object()]), r"Stop.result\[0\]: object has no JSON form"),
    ],
)
def test_a_free_field_that_would_not_come_back_is_refused_with_its_path(event: PlainEvent, message: str):
    with pytest.raises(CodecError, match=message):
        encode(event)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"n": "no number"}, "Loose: .*n.*valid integer"),
        ({"n": 1, "extra": {"$type": "os:system", "value": "echo"}}, r"Loose.extra: .*os:system"),
        ({"n": 1, "extra": {"$type": "subprocess:Popen", "value": ["ls"]}}, r"Loose.extra: .*subprocess:Popen"),
        ({"n": 1, "extra": {"$type": "set", "more": 1}}, "Loose.extra: a damaged record of a typed value"),
        ({"n": 1, "extra": {"$type": "gone:Type", "value": 1}}, "gone:Type is not known here. Import its module"),
    ],
)
def test_a_record_makes_no_other_types_than_events_and_values(payload: Any, message: str):
    with pytest.raises(CodecError, match=f"(?s){message}"):
        decode(Loose, payload)
