"""State: `ctx.store` free-form and typed, paths, edits, and state that lives across runs."""

import asyncio
from typing import Any

import pytest
from drive import go, run
from pydantic import BaseModel, Field
from roots import Api


class Profile(BaseModel):
    name: str = "nobody"
    tags: list[str] = Field(default_factory=list)


class Counts(BaseModel):
    n: int = 0
    names: list[str] = Field(default_factory=list)
    profile: Profile = Field(default_factory=Profile)
    by_key: dict[str, int] = Field(default_factory=dict)


def doing(api: Api, act: Any, state: type[BaseModel] | None = None) -> type:
    """A workflow whose one step does `await act(ctx)` and stops with what it returns."""
    context = api.Context if state is None else api.Context[state]

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: context, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=await act(ctx))

    return Flow


def test_what_is_set_is_got(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("a", 1)
        return await ctx.store.get("a")

    assert run(doing(api, act)()) == 1


def test_a_missing_path_is_a_value_error_that_names_it(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        return await ctx.store.get("nothing.here")

    with pytest.raises(ValueError, match=r"nothing\.here"):
        run(doing(api, act)())


def test_a_default_stands_in_for_a_missing_path(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        return [await ctx.store.get("a.b", default=7), await ctx.store.get("c", None)]

    assert run(doing(api, act)()) == [7, None]


def test_paths_reach_into_dicts_and_lists(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("user", {"names": ["Ada", "Bob"], "address": {"city": "Rome"}})
        return [await ctx.store.get("user.names.1"), await ctx.store.get("user.address.city")]

    assert run(doing(api, act)()) == ["Bob", "Rome"]


def test_setting_a_path_makes_the_dicts_on_the_way(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("a.b.c", 1)
        await ctx.store.set("a.b.d", 2)
        return await ctx.store.get("a")

    assert run(doing(api, act)()) == {"b": {"c": 1, "d": 2}}


def test_setting_a_path_changes_an_item_of_a_list(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("names", ["a", "b"])
        await ctx.store.set("names.1", "c")
        return await ctx.store.get("names")

    assert run(doing(api, act)()) == ["a", "c"]


def test_an_empty_path_cannot_be_set(api: Api) -> None:
    async def act(ctx: Any) -> None:
        await ctx.store.set("", 1)

    with pytest.raises(ValueError, match="empty"):
        run(doing(api, act)())


def test_state_is_shared_between_steps(api: Api) -> None:
    class Next(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def first(self, ctx: api.Context, ev: api.StartEvent) -> Next:
            await ctx.store.set("a", 1)
            return Next()

        @api.step
        async def second(self, ctx: api.Context, ev: Next) -> api.StopEvent:
            return api.StopEvent(result=await ctx.store.get("a"))

    assert run(Flow()) == 1


def test_edit_state_commits_at_the_end_of_the_block(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        async with ctx.store.edit_state() as state:
            state["a"] = 1
            state.b = {"c": 2}
            seen = await ctx.store.get("a", default="not yet")
        return [seen, await ctx.store.get("a"), await ctx.store.get("b.c")]

    assert run(doing(api, act)()) == ["not yet", 1, 2]


def test_an_edit_that_raises_changes_nothing(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("a", 1)
        try:
            async with ctx.store.edit_state() as state:
                state["a"] = 2
                raise KeyError("no")
        except KeyError:
            pass
        return await ctx.store.get("a")

    assert run(doing(api, act)()) == 1


def test_edits_of_steps_at_once_lose_nothing(api: Api) -> None:
    class Work(api.Event):
        pass

    class Done(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Work | None:
            await ctx.store.set("n", 0)
            for _ in range(20):
                ctx.send_event(Work())
            return None

        @api.step(num_workers=10)
        async def work(self, ctx: api.Context, ev: Work) -> Done:
            async with ctx.store.edit_state() as state:
                before = state["n"]
                await asyncio.sleep(0.001)
                state["n"] = before + 1
            return Done()

        @api.step
        async def end(self, ctx: api.Context, ev: Done) -> api.StopEvent | None:
            if ctx.collect_events(ev, [Done] * 20) is None:
                return None
            return api.StopEvent(result=await ctx.store.get("n"))

    assert run(Flow()) == 20


def test_clear_empties_the_state(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("a", 1)
        await ctx.store.clear()
        return await ctx.store.get("a", default="gone")

    assert run(doing(api, act)()) == "gone"


def test_get_state_gives_the_whole_state(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("a", 1)
        state = await ctx.store.get_state()
        return [isinstance(state, api.DictState), state["a"], state.a, "b" in state, state.get("b", 3)]

    assert run(doing(api, act)()) == [True, 1, 1, False, 3]


def test_set_state_replaces_the_whole_state(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("a", 1)
        await ctx.store.set_state(api.DictState(b=2))
        return [await ctx.store.get("a", default=None), await ctx.store.get("b")]

    assert run(doing(api, act)()) == [None, 2]


def test_a_typed_state_starts_from_its_defaults(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        return await ctx.store.get_state()

    assert run(doing(api, act, Counts)()) == Counts()


def test_a_typed_state_is_read_and_written_by_path(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("n", 4)
        await ctx.store.set("profile.name", "Ada")
        await ctx.store.set("by_key.x", 9)
        state = await ctx.store.get_state()
        return [type(state), state.n, await ctx.store.get("profile.name"), state.by_key]

    assert run(doing(api, act, Counts)()) == [Counts, 4, "Ada", {"x": 9}]


def test_a_typed_state_is_edited(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        async with ctx.store.edit_state() as state:
            state.n += 2
            state.names.append("a")
            state.profile.tags.append("t")
        return (await ctx.store.get_state()).model_dump()

    assert run(doing(api, act, Counts)()) == {
        "n": 2,
        "names": ["a"],
        "profile": {"name": "nobody", "tags": ["t"]},
        "by_key": {},
    }


def test_a_typed_state_is_replaced_and_cleared(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set_state(Counts(n=8))
        first = await ctx.store.get("n")
        await ctx.store.clear()
        return [first, await ctx.store.get("n")]

    assert run(doing(api, act, Counts)()) == [8, 0]


def test_a_typed_state_refuses_a_state_of_another_type(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set_state(Profile())

    with pytest.raises(ValueError, match="Counts"):
        run(doing(api, act, Counts)())


def test_the_most_derived_state_type_is_used(api: Api) -> None:
    class Child(Counts):
        extra: str = "more"

    class Next(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def first(self, ctx: api.Context[Counts], ev: api.StartEvent) -> Next:
            await ctx.store.set("n", 1)
            return Next()

        @api.step
        async def second(self, ctx: api.Context[Child], ev: Next) -> api.StopEvent:
            return api.StopEvent(result=await ctx.store.get_state())

    assert run(Flow()) == Child(n=1)


def test_setting_a_parent_state_keeps_the_fields_of_the_child(api: Api) -> None:
    class Child(Counts):
        extra: str = "more"

    async def act(ctx: Any) -> Any:
        await ctx.store.set("extra", "kept")
        await ctx.store.set_state(Counts(n=5))
        return await ctx.store.get_state()

    assert run(doing(api, act, Child)()) == Child(n=5, extra="kept")


def test_state_types_without_a_common_line_are_refused(api: Api) -> None:
    class Next(api.Event):
        pass

    def build() -> Any:
        class Flow(api.Workflow):
            @api.step
            async def first(self, ctx: api.Context[Counts], ev: api.StartEvent) -> Next:
                return Next()

            @api.step
            async def second(self, ctx: api.Context[Profile], ev: Next) -> api.StopEvent:
                await ctx.store.get_state()
                return api.StopEvent()

        return Flow()

    # Found at the run there; a definition that cannot work may be refused earlier.
    with pytest.raises((ValueError, api.WorkflowValidationError), match="Profile"):
        go(_run_built(build))


async def _run_built(build: Any) -> Any:
    return await build().run()


def test_state_is_read_through_the_handler(api: Api) -> None:
    async def act(ctx: Any) -> None:
        await ctx.store.set("a", 1)

    async def main() -> None:
        handler = doing(api, act)().run()
        await handler
        assert await handler.ctx.store.get("a") == 1

    go(main())


def test_state_is_set_before_the_run(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        return await ctx.store.get("a")

    async def main() -> Any:
        flow = doing(api, act)()
        ctx = api.Context(flow)
        await ctx.store.set("a", 5)
        return await flow.run(ctx=ctx)

    assert go(main()) == 5


def test_typed_state_is_set_before_the_run(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        return await ctx.store.get_state()

    async def main() -> Any:
        flow = doing(api, act, Counts)()
        ctx = api.Context(flow)
        async with ctx.store.edit_state() as state:
            state.n = 6
        return await flow.run(ctx=ctx)

    assert go(main()) == Counts(n=6)


def test_state_lives_on_in_the_next_run_of_its_context(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        n = await ctx.store.get("n", default=0)
        await ctx.store.set("n", n + 1)
        return n + 1

    async def main() -> list[int]:
        flow = doing(api, act)()
        ctx = api.Context(flow)
        return [await flow.run(ctx=ctx) for _ in range(3)]

    assert go(main()) == [1, 2, 3]


def test_a_run_goes_on_from_the_context_of_a_handler(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        async with ctx.store.edit_state() as state:
            state.n += 1
        return await ctx.store.get("n")

    async def main() -> list[int]:
        flow = doing(api, act, Counts)()
        first = flow.run()
        return [await first, await flow.run(ctx=first.ctx)]

    assert go(main()) == [1, 2]


def test_a_run_without_a_context_starts_empty(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        n = await ctx.store.get("n", default=0)
        await ctx.store.set("n", n + 1)
        return n

    async def main() -> list[int]:
        flow = doing(api, act)()
        return [await flow.run(), await flow.run()]

    assert go(main()) == [0, 0]


def test_state_survives_a_failed_run(api: Api) -> None:
    async def act(ctx: Any) -> None:
        await ctx.store.set("a", 1)
        raise KeyError("after the write")

    async def main() -> Any:
        handler = doing(api, act)().run()
        with pytest.raises(KeyError):
            await handler
        return await handler.ctx.store.get("a")

    assert go(main()) == 1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_live_object_is_kept_while_the_run_is_in_memory(api: Api) -> None:
    client = object()

    async def act(ctx: Any) -> Any:
        await ctx.store.set("client", client)
        return await ctx.store.get("client") is client

    assert run(doing(api, act)()) is True


def test_a_store_of_its_own(api: Api) -> None:
    async def main() -> None:
        store = api.InMemoryStateStore(Counts())
        await store.set("profile.name", "Ada")
        async with store.edit_state() as state:
            state.n = 3
        assert await store.get("profile.name") == "Ada"
        assert await store.get_state() == Counts(n=3, profile=Profile(name="Ada"))

    go(main())


def test_a_store_of_its_own_goes_to_a_dict_and_back(api: Api) -> None:
    async def main() -> None:
        serializer = api.JsonSerializer()
        store = api.InMemoryStateStore(api.DictState())
        await store.set("a.b", [1, 2])
        again = api.InMemoryStateStore.from_dict(store.to_dict(serializer), serializer)
        assert await again.get("a.b") == [1, 2]

    go(main())


def test_paths_reach_into_models_in_free_state(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("user", Profile(name="Ada", tags=["a"]))
        await ctx.store.set("user.name", "Bob")
        return [await ctx.store.get("user.name"), await ctx.store.get("user.tags.0"), await ctx.store.get("user")]

    assert run(doing(api, act)()) == ["Bob", "a", Profile(name="Bob", tags=["a"])]


def test_events_can_be_kept_in_the_state(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("event", api.Event(n=4))
        return (await ctx.store.get("event")).n

    assert run(doing(api, act)()) == 4


def test_the_state_of_an_edit_is_like_a_dict(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("a", 1)
        async with ctx.store.edit_state() as state:
            state["b"] = state["a"] + 1
            state.c = state.b + 1
            return [list(state), "c" in state, len(state), dict(state.items()), state.get("d", 0)]

    assert run(doing(api, act)()) == [["a", "b", "c"], True, 3, {"a": 1, "b": 2, "c": 3}, 0]


def test_a_write_inside_an_edit_is_refused(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        async with ctx.store.edit_state():
            try:
                await ctx.store.set("a", 1)
            except (RuntimeError, ValueError):
                return "refused"

    assert run(doing(api, act)()) == "refused"


def test_state_is_read_and_written_from_outside_while_a_run_goes_on(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            await ctx.store.set("asked", True)
            reply = await ctx.wait_for_event(api.HumanResponseEvent, waiter_event=api.InputRequiredEvent())
            return api.StopEvent(result=(reply.n, await ctx.store.get("from outside")))

    async def main() -> Any:
        handler = Flow().run()
        async for event in handler.stream_events():
            if isinstance(event, api.InputRequiredEvent):
                assert await handler.ctx.store.get("asked") is True
                await handler.ctx.store.set("from outside", "seen")
                handler.ctx.send_event(api.HumanResponseEvent(n=1))
        return await handler

    assert go(main()) == (1, "seen")


def test_a_list_got_from_the_store_is_the_list_in_the_store(api: Api) -> None:
    # As agents are written: `(await ctx.store.get("reasoning", default=[])).append(step)`.
    async def act(ctx: Any) -> Any:
        await ctx.store.set("reasoning", [])
        (await ctx.store.get("reasoning")).append("first")
        (await ctx.store.get("reasoning", default=[])).append(Profile(name="second"))
        return await ctx.store.get("reasoning")

    assert run(doing(api, act)()) == ["first", Profile(name="second")]


def test_a_list_in_a_typed_state_can_be_changed_where_it_is(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        (await ctx.store.get("names")).append("Ada")
        (await ctx.store.get("by_key"))["a"] = 1
        return await ctx.store.get_state()

    assert run(doing(api, act, Counts)()) == Counts(names=["Ada"], by_key={"a": 1})


def test_a_model_got_from_the_store_can_be_changed_where_it_is(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("profile", Profile())
        (await ctx.store.get("profile")).tags.append("a")
        return await ctx.store.get("profile.tags")

    assert run(doing(api, act)()) == ["a"]


def test_a_change_where_it_is_is_seen_by_the_next_step_and_saved(api: Api) -> None:
    class Next(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def first(self, ctx: api.Context, ev: api.StartEvent) -> Next:
            await ctx.store.set("names", [])
            (await ctx.store.get("names")).append("Ada")
            return Next()

        @api.step
        async def second(self, ctx: api.Context, ev: Next) -> api.StopEvent:
            return api.StopEvent(result=list(await ctx.store.get("names")))

    async def main() -> None:
        flow = Flow()
        handler = flow.run()
        assert await handler == ["Ada"]
        restored = api.Context.from_dict(flow, handler.ctx.to_dict())
        assert await restored.store.get("names") == ["Ada"]

    go(main())


def test_tuples_and_dicts_with_number_keys_stay_what_they_are(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("pair", (1, 2))
        await ctx.store.set("by_number", {1: "a"})
        return [await ctx.store.get("pair"), await ctx.store.get("by_number")]

    assert run(doing(api, act)()) == [(1, 2), {1: "a"}]


def test_a_typed_state_has_no_other_fields(api: Api) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.store.set("unknown", 1)

    with pytest.raises(ValueError, match="unknown"):
        run(doing(api, act, Counts)())
