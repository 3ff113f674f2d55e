"""Resources of steps: built once, told apart by their factory, checked before a run, cleaned up at the end."""

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from resource_samples import Thing, compiled, resolved

from citewell.workflow.resource import (
    Resource,
    ResourceDefinition,
    ResourceDescriptor,
    ResourceError,
    ResourceManager,
    build,
    check,
    definitions,
    resolve,
)


def counted(made: list[Thing]) -> Callable[[], Thing]:
    def make() -> Thing:
        made.append(Thing())
        return made[-1]

    return make


# --- What a step gets ---


def test_only_annotated_parameters_take_a_resource() -> None:
    def step(ev: int, plain: Annotated[int, "a note"], thing: Annotated[Thing, "a note", Resource(Thing)]) -> None: ...

    (definition,) = compiled(step)
    assert definition.name == "thing"
    assert definition.type_annotation is Thing
    assert isinstance(definition.resource, ResourceDescriptor)


def test_a_cached_resource_is_one_instance_for_all_steps_and_runs_of_a_manager() -> None:
    made: list[Thing] = []
    make = counted(made)

    def first(thing: Annotated[Thing, Resource(make)]) -> None: ...

    def second(other: Annotated[Thing, Resource(make)]) -> None: ...

    manager = ResourceManager()
    assert resolved(manager, first)["thing"] is resolved(manager, second)["other"]
    assert len(made) == 1
    assert resolved(ResourceManager(), first)["thing"] is not made[0]


def test_two_closures_from_one_place_are_two_resources() -> None:
    def maker(label: str) -> Callable[[], Thing]:
        def make() -> Thing:
            return Thing(label)

        return make

    red, blue = maker("red"), maker("blue")

    def step(a: Annotated[Thing, Resource(red)], b: Annotated[Thing, Resource(blue)]) -> None: ...

    manager = ResourceManager()
    found = resolved(manager, step)
    assert (found["a"].parts, found["b"].parts) == (("red",), ("blue",))
    name = Resource(red).name
    assert manager_names(manager) == [name, f"{name}#2"]


def manager_names(manager: ResourceManager) -> list[str]:
    return list(manager.get_all())


def test_a_bound_method_is_one_resource_for_each_object_it_is_bound_to() -> None:
    class Pool:
        def connect(self) -> Thing:
            return Thing(self)

    one, two = Pool(), Pool()

    async def main() -> None:
        manager = ResourceManager()
        first = await manager.get(Resource(one.connect))
        assert first is await manager.get(Resource(one.connect))
        assert first is not await manager.get(Resource(two.connect))

    asyncio.run(main())


def test_a_factory_that_is_gone_never_lends_its_place_to_a_new_one() -> None:
    async def main() -> None:
        manager = ResourceManager()
        found = [await manager.get(Resource(functools.partial(Thing, n))) for n in range(200)]
        assert [one.parts[0] for one in found] == list(range(200))

    asyncio.run(main())


def test_without_the_cache_one_step_shares_an_instance_and_the_next_gets_a_new_one() -> None:
    made: list[Thing] = []
    make = counted(made)

    def pair(
        base: Annotated[Thing, Resource(make, cache=False)],
    ) -> Thing:
        return Thing(base)

    def step(
        base: Annotated[Thing, Resource(make, cache=False)],
        again: Annotated[Thing, Resource(make, cache=False)],
        above: Annotated[Thing, Resource(pair, cache=False)],
    ) -> None: ...

    manager = ResourceManager()
    one, two = resolved(manager, step), resolved(manager, step)
    assert one["base"] is one["again"] is one["above"].parts[0]
    assert one["base"] is not two["base"]
    assert len(made) == 2
    assert manager.get_all() == {}


def test_two_steps_at_once_do_not_share_what_is_not_cached() -> None:
    async def make() -> Thing:
        await asyncio.sleep(0)
        return Thing()

    def step(thing: Annotated[Thing, Resource(make, cache=False)]) -> None: ...

    async def main() -> None:
        manager, found = ResourceManager(), compiled(step)
        one, two = await asyncio.gather(resolve(manager, found), resolve(manager, found))
        assert one["thing"] is not two["thing"]

    asyncio.run(main())


def test_factories_chain_whether_they_are_functions_coroutines_classes_or_partials() -> None:
    async def base() -> Thing:
        await asyncio.sleep(0)
        return Thing("base")

    class Middle:
        def __init__(self, low: Annotated[Thing, Resource(base)], size: int = 3) -> None:
            self.low, self.size = low, size

    def top(scale: int, middle: Annotated[Middle, Resource(Middle)], **rest: object) -> Thing:
        return Thing(scale, middle, rest)

    class Caller:
        async def __call__(self, low: Annotated[Thing, Resource(base)]) -> Thing:
            return Thing("called", low)

    def step(
        low: Annotated[Thing, Resource(base)],
        high: Annotated[Thing, Resource(functools.partial(top, scale=7))],
        called: Annotated[Thing, Resource(Caller())],
    ) -> None: ...

    found = resolved(ResourceManager(), step)
    scale, middle, rest = found["high"].parts
    assert (scale, middle.size, rest) == (7, 3, {})
    assert middle.low is found["low"] is found["called"].parts[1]


def test_a_resource_that_is_itself_a_future_is_handed_over_as_it_is() -> None:
    async def main() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        assert await ResourceManager().get(Resource(lambda: future)) is future

    asyncio.run(main())


def test_string_annotations_of_a_factory_may_use_its_closure_and_the_names_around_the_step() -> None:
    def low() -> Thing:
        return Thing("low")

    def other() -> Thing:
        return Thing("other")

    def high(a: "Annotated[Thing, Resource(low)]", b: "Annotated[Thing, Resource(other)]") -> "Elsewhere":  # type: ignore[name-defined]  # noqa: F821
        return Thing(a, b, low)

    def step(thing: Annotated[Thing, Resource(high)]) -> None: ...

    found = resolved(ResourceManager(), step, other=other, low=other)["thing"]
    assert [part.parts for part in found.parts[:2]] == [("low",), ("other",)]


# --- Faults ---


def test_a_circular_dependency_is_refused_with_its_chain() -> None:
    def a(x: "Annotated[Thing, Resource(b)]") -> None: ...

    def b(x: "Annotated[Thing, Resource(c)]") -> None: ...

    def c(x: "Annotated[Thing, Resource(a)]") -> None: ...

    names = {"a": a, "b": b, "c": c}

    def step(thing: Annotated[Thing, Resource(lambda x=None: x)], x: Annotated[Thing, Resource(a)]) -> None: ...

    found = compiled(step, **names)
    path = r"\ba -> .*\bb -> .*\bc -> .*\ba\."
    with pytest.raises(ResourceError, match=path):
        asyncio.run(resolve(ResourceManager(), found))
    (message,) = check(found)
    assert message.startswith("parameter 'x': Circular resource dependency detected")


def test_two_tasks_that_enter_a_cycle_from_both_ends_both_get_the_error() -> None:
    async def slow() -> None:
        await asyncio.sleep(0.01)

    fresh = Resource(slow, cache=False)

    # Each is held up after it has begun, so both are being built when they come to ask for each other.
    async def a(s: Annotated[None, fresh], x: "Annotated[Thing, Resource(b)]") -> Thing:
        return Thing(x)

    async def b(s: Annotated[None, fresh], x: "Annotated[Thing, Resource(a)]") -> Thing:
        return Thing(x)

    def left(x: Annotated[Thing, Resource(a)]) -> None: ...

    def right(x: Annotated[Thing, Resource(b)]) -> None: ...

    async def main() -> list[Any]:
        manager = ResourceManager()
        both = [resolve(manager, compiled(one, a=a, b=b)) for one in (left, right)]
        return await asyncio.wait_for(asyncio.gather(*both, return_exceptions=True), 30)

    assert [type(one) for one in asyncio.run(main())] == [ResourceError, ResourceError]


def test_a_cycle_closed_by_a_descriptor_of_the_user_is_refused_too() -> None:
    class Own:
        name = "own"
        cache = True

        def set_type_annotation(self, type_annotation: Any) -> None: ...

        def set_localns(self, localns: dict[str, Any] | None) -> None: ...

        def get_dependencies(self) -> list[tuple[str, ResourceDescriptor, Any]]:
            return []

        async def resolve(self, manager: ResourceManager) -> Any:
            return await manager.get(Own())

    with pytest.raises(ResourceError, match="own -> own"):
        asyncio.run(ResourceManager().get(Own()))


def test_a_factory_that_runs_a_step_which_needs_it_gets_an_error_and_does_not_wait_for_itself() -> None:
    manager = ResourceManager()

    async def make() -> Any:
        return await asyncio.create_task(resolve(manager, (ResourceDefinition("x", Resource(make)),)))

    with pytest.raises(ResourceError, match=r"make -> .*make\."):
        asyncio.run(asyncio.wait_for(manager.get(Resource(make)), 30))


def test_a_failing_factory_raises_its_own_error_with_the_chain_as_a_note() -> None:
    def low() -> Thing:
        raise OSError("no socket")

    def high(x: Annotated[Thing, Resource(low)]) -> Thing:
        return Thing(x)

    with pytest.raises(OSError, match="no socket") as caught:
        asyncio.run(ResourceManager().get(Resource(high)))
    (note,) = caught.value.__notes__
    assert note == f"While building resource {high.__qualname__} -> {low.__qualname__}"


def test_a_factory_parameter_that_nothing_fills_is_found_by_the_check_and_by_the_run() -> None:
    def make(url: str) -> Thing:
        return Thing(url)

    def step(thing: Annotated[Thing, Resource(make)]) -> None: ...

    (message,) = check(compiled(step))
    assert "'thing'" in message
    assert "'url' is neither a resource nor has it a default" in message
    with pytest.raises(ResourceError, match="'url'"):
        resolved(ResourceManager(), step)


def test_an_annotation_that_cannot_be_read_matters_only_without_a_default() -> None:
    def fine(x: "Nowhere" = None) -> Thing:  # type: ignore[name-defined]  # noqa: F821
        return Thing(x)

    def broken(x: "Nowhere") -> Thing:  # type: ignore[name-defined]  # noqa: F821
        return Thing(x)

    assert asyncio.run(ResourceManager().get(Resource(fine))).parts == (None,)
    with pytest.raises(ResourceError, match="'Nowhere' of parameter 'x'"):
        asyncio.run(ResourceManager().get(Resource(broken)))


@pytest.mark.parametrize(
    ("metadata", "words"),
    [((Resource,), "bare Resource"), ((Resource(Thing), Resource(Thing)), "2 resources")],
)
def test_a_wrongly_annotated_parameter_is_refused_when_the_step_is_read(metadata: tuple[Any, ...], words: str) -> None:
    def step(thing: object) -> None: ...

    hints = {"thing": Annotated[(Thing, *metadata)]}
    with pytest.raises(ResourceError, match=rf"step: parameter 'thing' has .*{words}"):
        definitions(step, hints, inspect.signature(step).parameters.values())


def test_a_factory_that_cannot_be_called_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="cannot be called"):
        Resource(Thing())  # type: ignore[arg-type]


# --- Tasks at once ---


def test_concurrent_first_uses_build_a_cached_resource_once() -> None:
    made: list[Thing] = []

    async def make() -> Thing:
        made.append(Thing())
        mine = made[-1]
        await asyncio.sleep(0.01)
        return mine

    def high(x: Annotated[Thing, Resource(make)]) -> Thing:
        return Thing(x)

    def step(x: Annotated[Thing, Resource(make)], y: Annotated[Thing, Resource(high)]) -> None: ...

    async def main() -> list[dict[str, Any]]:
        manager, found = ResourceManager(), compiled(step)
        return await asyncio.gather(*(resolve(manager, found) for _ in range(20)))

    found = asyncio.run(main())
    assert len(made) == 1
    assert {id(one["y"]) for one in found} == {id(found[0]["y"])}


@pytest.mark.parametrize("way", ["fails", "is cancelled"])
def test_when_the_task_that_builds_stops_the_next_one_tries_again(way: str) -> None:
    attempts = 0
    begun = asyncio.Event()

    async def make() -> Thing:
        nonlocal attempts
        attempts += 1
        begun.set()
        await asyncio.sleep(0 if way == "fails" or attempts > 1 else 3600)
        if attempts == 1:
            raise OSError("not yet")
        return Thing()

    async def main() -> list[Any]:
        manager = ResourceManager()
        tasks = [asyncio.create_task(manager.get(Resource(make))) for _ in range(3)]
        await begun.wait()
        if way == "is cancelled":
            tasks[0].cancel()
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)

    first, second, third = asyncio.run(main())
    assert isinstance(first, OSError if way == "fails" else asyncio.CancelledError)
    assert second is third
    assert isinstance(second, Thing)
    assert attempts == 2


def test_a_manager_serves_one_event_loop_after_another() -> None:
    async def make() -> Thing:
        await asyncio.sleep(0)
        return Thing()

    manager = ResourceManager()

    async def main(keep: bool) -> None:
        resource = Resource(make)
        await asyncio.gather(*(manager.get(resource) for _ in range(3)))
        if not keep:
            await manager.aclose()

    for _ in range(2):
        asyncio.run(main(keep=False))


# --- Given values ---


def test_a_value_given_by_name_or_by_factory_takes_the_place_of_the_cached_resource() -> None:
    made: list[Thing] = []
    make = counted(made)

    def step(thing: Annotated[Thing, Resource(make)]) -> None: ...

    async def main(name: Any) -> None:
        manager, mine = ResourceManager(), Thing()
        await manager.get(Resource(make))
        await manager.set(name, mine)
        assert (await resolve(manager, compiled(step)))["thing"] is mine
        assert list(manager.get_all().values()) == [mine]

    for name in (make.__qualname__, make, Resource(make)):
        asyncio.run(main(name))


# --- Checks ---


def test_sound_resources_give_no_messages_and_the_check_calls_no_factory() -> None:
    made: list[Thing] = []
    make = counted(made)

    def high(x: Annotated[Thing, Resource(make)], y: Annotated[Thing, Resource(make)]) -> Thing:
        return Thing(x, y)

    def step(x: Annotated[Thing, Resource(make)], y: Annotated[Thing, Resource(high)]) -> None: ...

    assert check(compiled(step)) == []
    assert made == []


def test_a_deep_lattice_of_factories_is_checked_and_built_in_linear_time() -> None:
    calls = 0

    def layer(low: Callable[..., Thing]) -> Callable[..., Thing]:
        def make(a: Annotated[Thing, Resource(low)], b: Annotated[Thing, Resource(low)]) -> Thing:
            nonlocal calls
            calls += 1
            return Thing(a, b)

        return make

    top: Callable[..., Thing] = Thing
    for _ in range(40):
        top = layer(top)

    def step(x: Annotated[Thing, Resource(top, cache=False)]) -> None: ...

    assert check(compiled(step)) == []
    resolved(ResourceManager(), step)
    assert calls == 40


def test_building_on_trial_reports_each_parameter_and_keeps_what_it_could_build() -> None:
    made: list[Thing] = []
    make = counted(made)

    def fail() -> Thing:
        raise OSError("no socket")

    def step(x: Annotated[Thing, Resource(fail)], y: Annotated[Thing, Resource(make)]) -> None: ...

    async def main() -> None:
        manager = ResourceManager()
        assert await build(manager, compiled(step)) == ["parameter 'x': OSError: no socket"]
        assert list(manager.get_all().values()) == made

    asyncio.run(main())


# --- Clean-up ---


def test_factories_that_yield_are_cleaned_up_last_first_and_the_manager_starts_anew() -> None:
    log: list[str] = []

    async def low() -> AsyncIterator[str]:
        log.append("open low")
        try:
            yield "low"
        finally:
            log.append("close low")

    def high(x: Annotated[str, Resource(low)]) -> Iterator[str]:
        log.append("open high")
        yield f"high on {x}"
        log.append("close high")

    def step(x: Annotated[str, Resource(high)], y: Annotated[str, Resource(low)]) -> None: ...

    async def main() -> None:
        manager, found = ResourceManager(), compiled(step)
        for _ in range(2):
            for _ in range(2):
                assert await resolve(manager, found) == {"x": "high on low", "y": "low"}
            await manager.aclose()
            assert log == ["open low", "open high", "close high", "close low"]
            assert manager.get_all() == {}
            log.clear()
        await manager.aclose()
        assert log == []

    asyncio.run(main())


def test_a_clean_up_that_fails_is_raised_after_the_others_have_run() -> None:
    log: list[str] = []

    def fine() -> Iterator[int]:
        yield 1
        log.append("fine")

    def bad() -> Iterator[int]:
        yield 2
        raise OSError("will not close")

    async def main() -> None:
        manager = ResourceManager()
        await manager.get(Resource(fine))
        await manager.get(Resource(bad))
        with pytest.raises(OSError, match="will not close"):
            await manager.aclose()

    asyncio.run(main())
    assert log == ["fine"]


def test_what_does_not_yield_is_not_closed() -> None:
    class Session:
        closed = False

        async def aclose(self) -> None:
            self.closed = True

        close = __exit__ = __aexit__ = aclose

    @contextlib.asynccontextmanager
    async def managed() -> AsyncIterator[int]:
        yield 1

    async def main() -> None:
        manager = ResourceManager()
        session = await manager.get(Resource(Session))
        context = await manager.get(Resource(managed, cache=False))
        await manager.aclose()
        assert not session.closed
        async with context as value:
            assert value == 1

    asyncio.run(main())


def test_a_factory_that_yields_must_yield_once_and_be_cached() -> None:
    def never() -> Iterator[int]:
        if never.__name__ == "":
            yield 1

    def twice() -> Iterator[int]:
        yield 1
        yield 2

    with pytest.raises(ResourceError, match="Leave the cache on"):
        Resource(twice, cache=False)

    async def main() -> None:
        manager = ResourceManager()
        with pytest.raises(ResourceError, match="yields nothing"):
            await manager.get(Resource(never))
        assert await manager.get(Resource(twice)) == 1
        with pytest.raises(ResourceError, match="yields twice"):
            await manager.aclose()

    asyncio.run(main())


def test_a_task_that_a_factory_started_resolves_for_itself_afterwards() -> None:
    manager = ResourceManager()
    made: list[Thing] = []
    fresh = Resource(counted(made), cache=False)
    go = asyncio.Event()

    async def later() -> Any:
        await go.wait()
        return await manager.get(fresh)

    async def make(one: Annotated[Thing, fresh]) -> asyncio.Task[Any]:
        return asyncio.create_task(later())

    async def main() -> None:
        task = await manager.get(Resource(make))
        go.set()
        assert await task is made[1]

    asyncio.run(main())
    assert len(made) == 2
