"""`WorkflowTestRunner`: a run, its events counted, its result."""

from drive import go
from roots import Api


def noisy(api: Api) -> tuple[type, type]:
    class Note(api.Event):
        n: int

    class Begin(api.StartEvent):
        count: int = 2

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: Begin) -> api.StopEvent:
            done = await ctx.store.get("done", default=0)
            for n in range(ev.count):
                ctx.write_event_to_stream(Note(n=n))
            await ctx.store.set("done", done + ev.count)
            return api.StopEvent(result=done + ev.count)

    return Flow, Note


def test_a_runner_gives_the_result_and_the_events(api: Api) -> None:
    Flow, Note = noisy(api)

    async def main() -> None:
        outcome = await api.WorkflowTestRunner(Flow()).run(start_event=Flow().start_event_class(count=3))
        assert outcome.result == 3
        assert outcome.event_types[Note] == 3
        assert outcome.event_types[api.StopEvent] == 1
        assert [event.n for event in outcome.collected if isinstance(event, Note)] == [0, 1, 2]

    go(main())


def test_a_runner_shows_internal_events_by_default(api: Api) -> None:
    Flow, _ = noisy(api)

    async def main() -> None:
        runner = api.WorkflowTestRunner(Flow())
        begin = Flow().start_event_class()
        shown = await runner.run(start_event=begin)
        hidden = await runner.run(start_event=begin, expose_internal=False)
        assert shown.event_types[api.StepStateChanged] == 2
        assert api.StepStateChanged not in hidden.event_types

    go(main())


def test_a_runner_leaves_out_event_types(api: Api) -> None:
    Flow, Note = noisy(api)

    async def main() -> None:
        outcome = await api.WorkflowTestRunner(Flow()).run(
            start_event=Flow().start_event_class(), exclude_events=[Note, api.StepStateChanged]
        )
        assert [type(event).__name__ for event in outcome.collected] == ["StopEvent"]

    go(main())


def test_a_runner_goes_on_from_a_context(api: Api) -> None:
    Flow, _ = noisy(api)

    async def main() -> None:
        runner = api.WorkflowTestRunner(Flow())
        begin = Flow().start_event_class()
        first = await runner.run(start_event=begin)
        second = await runner.run(start_event=begin, ctx=first.ctx)
        assert second.result == 4
        assert await second.ctx.store.get("done") == 4

    go(main())
