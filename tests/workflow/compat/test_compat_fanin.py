"""Fan-out and fan-in: `ctx.send_event` with `ctx.collect_events`, `list[E]` in and out, several event parameters."""

import asyncio
from typing import Annotated, Any

import pytest
from drive import refused, run, until
from roots import Api


def squares(api: Api, release: Any = None) -> type:
    """`list[Work]` out, `list[Done]` in; a part ends only after every part with a smaller number."""

    class Work(api.Event):
        n: int

    class Done(api.Event):
        n: int

    hint = list[Done] if release is None else Annotated[list[Done], release]

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            self.open = set(ev.numbers)
            return [Work(n=n) for n in ev.numbers]

        @api.step(num_workers=8)
        async def work(self, ev: Work) -> Done:
            await until(lambda: ev.n == min(self.open))
            # Far longer than the engine needs to take in the part that ended before.
            await asyncio.sleep(0.02)
            self.open.remove(ev.n)
            return Done(n=ev.n**2)

        @api.step
        async def end(self, done: hint) -> api.StopEvent:
            return api.StopEvent(result=[event.n for event in done])

    return Flow


def test_events_sent_are_collected(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Done(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Work | None:
            await ctx.store.set("count", 5)
            for n in range(5):
                ctx.send_event(Work(n=n))
            return None

        @api.step
        async def work(self, ev: Work) -> Done:
            return Done(n=ev.n**2)

        @api.step
        async def end(self, ctx: api.Context, ev: Done) -> api.StopEvent | None:
            done = ctx.collect_events(ev, [Done] * await ctx.store.get("count"))
            if done is None:
                return None
            return api.StopEvent(result=sorted(event.n for event in done))

    assert run(Flow()) == [0, 1, 4, 9, 16]


def test_events_may_be_sent_and_returned_by_one_step(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Work:
            ctx.send_event(Work(n=1))
            return Work(n=2)

        @api.step
        async def end(self, ctx: api.Context, ev: Work) -> api.StopEvent | None:
            both = ctx.collect_events(ev, [Work, Work])
            return None if both is None else api.StopEvent(result=sorted(event.n for event in both))

    assert run(Flow()) == [1, 2]


def test_collected_events_come_in_the_order_expected(api: Api) -> None:
    class A(api.Event):
        pass

    class B(api.Event):
        pass

    class C(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> A | B | C | None:
            for event in (C(), A(), B()):
                ctx.send_event(event)
            return None

        @api.step(num_workers=1)
        async def end(self, ctx: api.Context, ev: A | B | C) -> api.StopEvent | None:
            found = ctx.collect_events(ev, [A, B, C])
            return None if found is None else api.StopEvent(result=[type(event).__name__ for event in found])

    assert run(Flow()) == ["A", "B", "C"]


def test_several_of_each_type_are_collected_first_come_first(api: Api) -> None:
    class A(api.Event):
        n: int

    class B(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> A | B | None:
            for event in (A(n=1), B(n=1), A(n=2)):
                ctx.send_event(event)
            return None

        @api.step(num_workers=1)
        async def end(self, ctx: api.Context, ev: A | B) -> api.StopEvent | None:
            found = ctx.collect_events(ev, [A, B, A])
            return None if found is None else api.StopEvent(result=[(type(e).__name__, e.n) for e in found])

    assert run(Flow()) == [("A", 1), ("B", 1), ("A", 2)]


def test_collecting_nothing_gives_an_empty_list(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=ctx.collect_events(ev, []))

    assert run(Flow()) == []


def test_buffers_of_one_step_are_apart_by_their_id(api: Api) -> None:
    class Part(api.Event):
        group: str
        n: int

    class Group(api.Event):
        text: str

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Part | None:
            for n in range(2):
                for group in ("x", "y"):
                    ctx.send_event(Part(group=group, n=n))
            return None

        @api.step(num_workers=1)
        async def gather(self, ctx: api.Context, ev: Part) -> Group | None:
            parts = ctx.collect_events(ev, [Part, Part], buffer_id=ev.group)
            if parts is None:
                return None
            return Group(text="".join(f"{part.group}{part.n}" for part in parts))

        @api.step
        async def end(self, ctx: api.Context, ev: Group) -> api.StopEvent | None:
            groups = ctx.collect_events(ev, [Group, Group])
            return None if groups is None else api.StopEvent(result=sorted(group.text for group in groups))

    assert run(Flow()) == ["x0x1", "y0y1"]


def test_a_buffer_fills_again_in_the_next_round(api: Api) -> None:
    class Round(api.Event):
        n: int

    class Part(api.Event):
        n: int

    sums: list[int] = []

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent | Round) -> Part | None:
            n = ev.n if isinstance(ev, Round) else 0
            for part in range(3):
                ctx.send_event(Part(n=n * 10 + part))
            return None

        @api.step
        async def gather(self, ctx: api.Context, ev: Part) -> Round | api.StopEvent | None:
            parts = ctx.collect_events(ev, [Part] * 3)
            if parts is None:
                return None
            sums.append(sum(part.n for part in parts))
            return Round(n=len(sums)) if len(sums) < 4 else api.StopEvent(result=sums)

    assert run(Flow()) == [3, 33, 63, 93]


def test_events_of_a_type_not_expected_are_not_collected(api: Api) -> None:
    class A(api.Event):
        pass

    class B(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> A | B | None:
            for event in (B(), A(), B(), A()):
                ctx.send_event(event)
            return None

        @api.step(num_workers=1)
        async def end(self, ctx: api.Context, ev: A | B) -> api.StopEvent | None:
            found = ctx.collect_events(ev, [A, A])
            return None if found is None else api.StopEvent(result=[type(event).__name__ for event in found])

    assert run(Flow()) == ["A", "A"]


def test_many_events_are_collected(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Work | None:
            for n in range(100):
                ctx.send_event(Work(n=n))
            return None

        @api.step
        async def end(self, ctx: api.Context, ev: Work) -> api.StopEvent | None:
            found = ctx.collect_events(ev, [Work] * 100)
            return None if found is None else api.StopEvent(result=sum(event.n for event in found))

    assert run(Flow()) == 4950


def test_a_list_returned_is_fanned_out_and_joined(api: Api) -> None:
    assert sorted(run(squares(api)(), numbers=[1, 2, 3])) == [1, 4, 9]


def test_a_joined_list_is_in_the_order_of_completion(api: Api) -> None:
    assert run(squares(api)(), numbers=[9, 5, 1]) == [1, 25, 81]


def test_an_empty_list_still_fires_the_join(api: Api) -> None:
    assert run(squares(api)(), numbers=[]) == []


def test_a_list_of_one_is_joined(api: Api) -> None:
    assert run(squares(api)(), numbers=[3]) == [9]


def test_collect_without_a_rule_waits_for_all(api: Api) -> None:
    assert run(squares(api, api.Collect())(), numbers=[3, 2, 1]) == [1, 4, 9]


def test_collect_all_waits_for_all(api: Api) -> None:
    assert run(squares(api, api.Collect(api.All()))(), numbers=[3, 2, 1]) == [1, 4, 9]


def test_collect_take_fires_with_the_first_to_arrive(api: Api) -> None:
    assert run(squares(api, api.Collect(api.Take(1)))(), numbers=[20, 1]) == [1]
    assert run(squares(api, api.Collect(cardinality=api.Take(2)))(), numbers=[20, 6, 1]) == [1, 36]


def test_collect_take_gives_what_there_is_when_there_is_less(api: Api) -> None:
    assert run(squares(api, api.Collect(api.Take(5)))(), numbers=[2, 1]) == [1, 4]


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_take_needs_a_positive_whole_number(api: Api, n: object) -> None:
    with pytest.raises(ValueError, match="Take"):
        api.Take(n)


def test_parts_that_end_without_an_event_are_left_out_of_the_join(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Done(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return [Work(n=n) for n in range(6)]

        @api.step
        async def work(self, ev: Work) -> Done | None:
            return Done(n=ev.n) if ev.n % 2 else None

        @api.step
        async def end(self, done: list[Done]) -> api.StopEvent:
            return api.StopEvent(result=sorted(event.n for event in done))

    assert run(Flow()) == [1, 3, 5]


def test_parts_go_through_several_steps_before_the_join(api: Api) -> None:
    class Raw(api.Event):
        n: int

    class Cooked(api.Event):
        n: int

    class Served(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Raw]:
            return [Raw(n=n) for n in range(3)]

        @api.step
        async def cook(self, ev: Raw) -> Cooked:
            return Cooked(n=ev.n + 10)

        @api.step
        async def serve(self, ev: Cooked) -> Served:
            return Served(n=ev.n + 100)

        @api.step
        async def end(self, ctx: api.Context, meals: list[Served]) -> api.StopEvent:
            return api.StopEvent(result=sorted(meal.n for meal in meals))

    assert run(Flow()) == [110, 111, 112]


def test_a_join_takes_a_union_of_types(api: Api) -> None:
    class Odd(api.Event):
        n: int

    class Even(api.Event):
        n: int

    class Work(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return [Work(n=n) for n in range(4)]

        @api.step
        async def sort(self, ev: Work) -> Odd | Even:
            return Odd(n=ev.n) if ev.n % 2 else Even(n=ev.n)

        @api.step
        async def end(self, both: list[Odd | Even]) -> api.StopEvent:
            return api.StopEvent(result=sorted((type(event).__name__, event.n) for event in both))

    assert run(Flow()) == [("Even", 0), ("Even", 2), ("Odd", 1), ("Odd", 3)]


def test_a_list_may_hold_events_of_several_types(api: Api) -> None:
    class A(api.Event):
        pass

    class B(api.Event):
        pass

    class Done(api.Event):
        name: str

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[A | B]:
            return [A(), B(), B()]

        @api.step
        async def take_a(self, ev: A) -> Done:
            return Done(name="a")

        @api.step
        async def take_b(self, ev: B) -> Done:
            return Done(name="b")

        @api.step
        async def end(self, done: list[Done]) -> api.StopEvent:
            return api.StopEvent(result=sorted(event.name for event in done))

    assert run(Flow()) == ["a", "b", "b"]


def test_a_step_may_fan_out_or_go_straight_on(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work] | api.StopEvent:
            if not ev.numbers:
                return api.StopEvent(result="nothing to do")
            return [Work(n=n) for n in ev.numbers]

        @api.step
        async def end(self, works: list[Work]) -> api.StopEvent:
            return api.StopEvent(result=[work.n for work in works])

    assert run(Flow(), numbers=[]) == "nothing to do"
    assert run(Flow(), numbers=[1, 2]) == [1, 2]


def test_a_join_runs_once_a_round_of_a_loop(api: Api) -> None:
    class Round(api.Event):
        n: int

    class Work(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent | Round) -> list[Work]:
            return [Work(n=n) for n in range(ev.n)]

        @api.step
        async def gather(self, works: list[Work]) -> Round | api.StopEvent:
            return Round(n=len(works) - 1) if works else api.StopEvent(result="empty")

    assert run(Flow(), n=4) == "empty"


def test_a_fan_out_inside_a_fan_out_is_joined_at_each_level(api: Api) -> None:
    class Group(api.Event):
        n: int

    class Item(api.Event):
        n: int

    class Summed(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Group]:
            return [Group(n=n) for n in (1, 2, 3)]

        @api.step
        async def split(self, ev: Group) -> list[Item]:
            return [Item(n=ev.n)] * ev.n

        @api.step
        async def add(self, items: list[Item]) -> Summed:
            return Summed(n=sum(item.n for item in items))

        @api.step
        async def end(self, sums: list[Summed]) -> api.StopEvent:
            return api.StopEvent(result=sorted(event.n for event in sums))

    assert run(Flow()) == [1, 4, 9]


def test_a_step_with_several_event_parameters_waits_for_one_of_each(api: Api) -> None:
    class A(api.Event):
        n: int

    class B(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def make_a(self, ev: api.StartEvent) -> A:
            await asyncio.sleep(0.02)
            return A(n=1)

        @api.step
        async def make_b(self, ev: api.StartEvent) -> B:
            return B(n=2)

        @api.step
        async def end(self, a: A, b: B) -> api.StopEvent:
            return api.StopEvent(result=(a.n, b.n))

    assert run(Flow()) == (1, 2)


def test_several_event_parameters_and_a_context(api: Api) -> None:
    class A(api.Event):
        pass

    class B(api.Event):
        pass

    class C(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> A | B | C | None:
            for event in (C(), B(), A()):
                ctx.send_event(event)
            return None

        @api.step
        async def end(self, ctx: api.Context, b: B, c: C, a: A) -> api.StopEvent:
            await ctx.store.set("seen", [type(event).__name__ for event in (a, b, c)])
            return api.StopEvent(result=await ctx.store.get("seen"))

    assert run(Flow()) == ["A", "B", "C"]


def test_a_list_parameter_without_a_fan_out_is_refused(api: Api) -> None:
    def build() -> object:
        class Work(api.Event):
            pass

        class Flow(api.Workflow):
            @api.step
            async def begin(self, ev: api.StartEvent) -> Work:
                return Work()

            @api.step
            async def end(self, works: list[Work]) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    assert "end" in refused(api.WorkflowValidationError, build)


def test_a_list_parameter_stands_alone(api: Api) -> None:
    def build() -> object:
        class Work(api.Event):
            pass

        class Other(api.Event):
            pass

        class Flow(api.Workflow):
            @api.step
            async def begin(self, ev: api.StartEvent) -> list[Work | Other]:
                return []

            @api.step
            async def end(self, works: list[Work], other: Other) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    refused(api.WorkflowValidationError, build)


def test_several_event_parameters_take_one_type_each(api: Api) -> None:
    def build() -> object:
        class A(api.Event):
            pass

        class B(api.Event):
            pass

        class Flow(api.Workflow):
            @api.step
            async def begin(self, ev: api.StartEvent) -> A | B:
                return A()

            @api.step
            async def end(self, either: A | B, b: B) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    refused(api.WorkflowValidationError, build)


def test_collect_needs_a_list(api: Api) -> None:
    def build() -> object:
        class A(api.Event):
            pass

        class Flow(api.Workflow):
            @api.step
            async def begin(self, ev: api.StartEvent) -> A:
                return A()

            @api.step
            async def end(self, a: Annotated[A, api.Collect()]) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    refused(api.WorkflowValidationError, build)


def test_a_single_event_where_only_a_list_is_declared_is_a_runtime_error(api: Api) -> None:
    class Work(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return Work()

        @api.step
        async def end(self, works: list[Work]) -> api.StopEvent:
            return api.StopEvent()

    with pytest.raises(api.WorkflowRuntimeError, match="begin"):
        run(Flow())


def test_several_event_parameters_fire_once_for_each_pair(api: Api) -> None:
    class A(api.Event):
        n: int

    class B(api.Event):
        n: int

    fired: list[tuple[int, int]] = []

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> A | B | None:
            for event in (A(n=1), A(n=2), B(n=3), B(n=4)):
                ctx.send_event(event)
            return None

        @api.step(num_workers=1)
        async def join(self, a: A, b: B) -> api.StopEvent | None:
            fired.append((a.n, b.n))
            return api.StopEvent(result=fired) if len(fired) == 2 else None

    assert run(Flow()) == [(1, 3), (2, 4)]


def test_several_event_parameters_join_inside_each_part_of_a_fan_out(api: Api) -> None:
    class Item(api.Event):
        n: int

    class A(api.Event):
        n: int

    class B(api.Event):
        n: int

    class Sum(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Item]:
            return [Item(n=5)]

        @api.step
        async def make_a(self, ev: Item) -> A:
            return A(n=ev.n)

        @api.step
        async def make_b(self, ev: Item) -> B:
            return B(n=ev.n * 10)

        @api.step
        async def add(self, a: A, b: B) -> Sum:
            return Sum(n=a.n + b.n)

        @api.step
        async def end(self, sums: list[Sum]) -> api.StopEvent:
            return api.StopEvent(result=[event.n for event in sums])

    assert run(Flow()) == [55]


def test_the_parts_that_take_leaves_out_still_run_to_their_end(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Done(api.Event):
        n: int

    ended: list[int] = []

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return [Work(n=n) for n in range(3)]

        @api.step
        async def work(self, ev: Work) -> Done:
            await until(lambda: len(ended) == ev.n)
            ended.append(ev.n)
            return Done(n=ev.n)

        @api.step
        async def end(self, first: Annotated[list[Done], api.Collect(api.Take(1))]) -> api.StopEvent:
            await until(lambda: len(ended) == 3)
            return api.StopEvent(result=len(first))

    assert run(Flow()) == 1
    assert ended == [0, 1, 2]
