"""The run's state: copies in and out, refusals at the write, edits as a whole."""

import asyncio
import dataclasses
import datetime
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from citewell.workflow import Context, PlainStartEvent, PlainStopEvent, StateRefused, Workflow, launch, step
from citewell.workflow.journal import MemoryJournal
from citewell.workflow.state import DictState, UnserializableKeyWarning
from citewell.workflow.tagged import from_json


class Go(PlainStartEvent):
    __slots__ = ()


class Done(PlainStopEvent):
    __slots__ = ()


@dataclasses.dataclass
class Progress:
    count: int = 0
    names: tuple[str, ...] = ()
    seen: datetime.datetime | None = None


def in_step(body: Callable[[Context], Awaitable[None]], journal: MemoryJournal | None = None) -> None:
    class Free(Workflow):
        @step
        async def work(self, ctx: Context, event: Go) -> Done:
            await body(ctx)
            return Done()

    async def main() -> None:
        await launch(Free(), Go(), run_id="r", journal=journal)

    asyncio.run(main())


def in_typed_step(body: Callable[[Context[Progress]], Awaitable[None]]) -> None:
    class Typed(Workflow):
        @step
        async def work(self, ctx: Context[Progress], event: Go) -> Done:
            await body(ctx)
            return Done()

    async def main() -> None:
        await Typed().run(start_event=Go())

    asyncio.run(main())


class Opaque:
    pass


OPAQUE = [
    (Opaque(), "a Opaque was refused: key: Opaque has no JSON form"),
    ({"a": [1, Opaque()]}, r"a dict was refused: key.a\[1\]: Opaque has no JSON form"),
    ([lambda: 1], r"a list was refused: key\[0\]: function has no JSON form"),
]


@pytest.mark.parametrize(("value", "reason"), OPAQUE)
def test_a_value_without_a_json_form_is_refused_by_a_recorded_run_with_key_and_type(value: Any, reason: str):
    async def body(ctx: Context) -> None:
        with pytest.raises(StateRefused, match=reason) as caught:
            await ctx.store.set("key", value)
        assert caught.value.key == "key"
        assert await ctx.store.get("key", "nothing") == "nothing"

        async def edit() -> None:
            async with ctx.store.edit_state() as state:
                state["other"] = 1
                state["key"] = value

        with pytest.raises(StateRefused, match=reason):
            await edit()
        assert await ctx.store.get_state() == DictState()

    in_step(body, MemoryJournal())


@pytest.mark.parametrize(("value", "reason"), OPAQUE)
def test_a_run_in_memory_keeps_a_value_without_a_json_form_and_warns_once_for_each_key(value: Any, reason: str):
    async def body(ctx: Context) -> None:
        async def twice() -> None:
            await ctx.store.set("key", value)
            await ctx.store.set("key", value)

        with pytest.warns(UnserializableKeyWarning, match="State 'key' is kept in memory only") as caught:
            await twice()
        assert len(caught) == 1
        assert await ctx.store.get("key") == value

    in_step(body)


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        (1, 2),
        {1: 2},
        float("inf"),
        datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        Progress(3, ("a",)),
        [Progress(), {"a": (1, {"b"})}],
    ],
)
@pytest.mark.parametrize("recorded", [False, True])
def test_a_value_that_json_does_not_know_keeps_its_type(value: Any, recorded: bool):
    async def body(ctx: Context) -> None:
        await ctx.store.set("key", value)
        got = await ctx.store.get("key")
        assert got == value
        assert type(got) is type(value)

    journal = MemoryJournal() if recorded else None
    in_step(body, journal)
    if journal is not None:
        (entry,) = [entry for entry in journal.entries["r"] if entry.kind == "step"]
        assert entry.state is not None
        text = json.dumps(entry.state["key"], allow_nan=False)
        assert from_json(json.loads(text), "key") == value


@pytest.mark.parametrize("recorded", [False, True])
def test_values_are_copied_on_the_way_in_and_get_gives_the_value_itself(recorded: bool):
    async def body(ctx: Context) -> None:
        value = {"list": [1]}
        await ctx.store.set("key", value)
        value["list"].append(2)
        (await ctx.store.get("key"))["list"].append(3)
        (await ctx.store.get_state())["key"]["list"].append(4)
        assert await ctx.store.get("key") == {"list": [1, 3]}

    journal = MemoryJournal() if recorded else None
    in_step(body, journal)
    if journal is not None:
        # What was changed in a value that the step got is recorded too.
        (entry,) = [entry for entry in journal.entries["r"] if entry.kind == "step"]
        assert entry.state == {"key": {"list": [1, 3]}}


def test_a_missing_key_is_a_key_error_unless_a_default_is_given():
    async def body(ctx: Context) -> None:
        assert await ctx.store.get("missing", None) is None
        await ctx.store.get("missing")

    with pytest.raises(KeyError):
        in_step(body)


def test_an_edit_that_raises_changes_nothing_and_one_that_ends_changes_all():
    async def body(ctx: Context) -> None:
        await ctx.store.set("old", 1)
        with pytest.raises(ZeroDivisionError):
            async with ctx.store.edit_state() as state:
                state["new"] = 1 / 0
        assert await ctx.store.get_state() == DictState(old=1)
        async with ctx.store.edit_state() as state:
            del state["old"]
            state["new"] = 2
        assert await ctx.store.get_state() == DictState(new=2)

    journal = MemoryJournal()
    in_step(body, journal)
    (entry,) = [entry for entry in journal.entries["r"] if entry.kind == "step"]
    assert (entry.state, entry.state_deleted) == ({"new": 2}, ("old",))


def test_edits_at_the_same_time_lose_nothing():
    async def body(ctx: Context) -> None:
        await ctx.store.set("n", 0)

        async def add() -> None:
            async with ctx.store.edit_state() as state:
                n = state["n"]
                await asyncio.sleep(0)
                state["n"] = n + 1

        await asyncio.gather(*[add() for _ in range(20)])
        assert await ctx.store.get("n") == 20

    in_step(body)


def test_a_write_inside_an_edit_is_refused_instead_of_waiting_for_itself():
    async def body(ctx: Context) -> None:
        async with ctx.store.edit_state():
            await ctx.store.set("a", 1)

    with pytest.raises(StateRefused, match=r"set\(\) inside edit_state\(\)"):
        in_step(body)


def test_a_typed_state_has_its_defaults_keeps_its_types_and_is_edited_by_field():
    now = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)

    async def body(ctx: Context[Progress]) -> None:
        assert await ctx.store.get_state() == Progress()
        await ctx.store.set("seen", now)
        async with ctx.store.edit_state() as state:
            state.count += 1
            state.names += ("a",)
        assert await ctx.store.get_state() == Progress(1, ("a",), now)

    in_typed_step(body)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("count", "1", "'count' = a str was refused: count: str where int is declared"),
        ("names", (1,), r"names\[0\]: int where str is declared"),
        ("other", 1, r"Progress has no such field \(it has count, names, seen\)"),
    ],
)
def test_a_typed_state_refuses_what_its_type_does_not_declare(key: str, value: Any, reason: str):
    async def body(ctx: Context[Progress]) -> None:
        await ctx.store.set(key, value)

    with pytest.raises(StateRefused, match=reason):
        in_typed_step(body)
