"""Resources: factories, chains of them, caching, configuration files, and a manager of one's own."""

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from drive import go, refused, run
from pydantic import BaseModel
from roots import Api


class Client:
    def __init__(self, name: str = "client") -> None:
        self.name = name


class Settings(BaseModel):
    model: str
    limit: int = 5


def twice(api: Api, resource: Any) -> type:
    """Two steps that each take the resource; the result is both."""

    class Next(api.Event):
        client: Any

    class Flow(api.Workflow):
        @api.step
        async def first(self, ev: api.StartEvent, client: Annotated[Client, resource]) -> Next:
            return Next(client=client)

        @api.step
        async def second(self, ev: Next, client: Annotated[Client, resource]) -> api.StopEvent:
            return api.StopEvent(result=(ev.client, client))

    return Flow


def test_a_factory_gives_a_step_its_argument(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent, client: Annotated[Client, api.Resource(Client)]) -> api.StopEvent:
            return api.StopEvent(result=client.name)

    assert run(Flow()) == "client"


def test_an_async_factory_is_awaited(api: Api) -> None:
    async def connect() -> Client:
        return Client("async")

    first, second = run(twice(api, api.Resource(connect))())
    assert first is second
    assert first.name == "async"


def test_a_cached_resource_is_one_object_for_all_steps(api: Api) -> None:
    def connect() -> Client:
        return Client()

    first, second = run(twice(api, api.Resource(connect))())
    assert first is second


def test_a_resource_without_cache_is_made_for_each_step(api: Api) -> None:
    def connect() -> Client:
        return Client()

    first, second = run(twice(api, api.Resource(connect, cache=False))())
    assert first is not second


def test_a_cached_resource_lives_as_long_as_the_workflow_object(api: Api) -> None:
    def connect() -> Client:
        return Client()

    Flow = twice(api, api.Resource(connect))
    flow = Flow()
    assert run(flow)[0] is run(flow)[0]
    assert run(flow)[0] is not run(Flow())[0]


def test_a_resource_comes_with_a_context_and_in_any_place(api: Api) -> None:
    def connect() -> Client:
        return Client("placed")

    class Flow(api.Workflow):
        @api.step
        async def only(
            self, client: Annotated[Client, api.Resource(connect)], ctx: api.Context, ev: api.StartEvent
        ) -> api.StopEvent:
            await ctx.store.set("name", client.name)
            return api.StopEvent(result=await ctx.store.get("name"))

    assert run(Flow()) == "placed"


def test_sync_steps_take_resources(api: Api) -> None:
    def connect() -> Client:
        return Client("sync")

    class Flow(api.Workflow):
        @api.step
        def only(self, ev: api.StartEvent, client: Annotated[Client, api.Resource(connect)]) -> api.StopEvent:
            return api.StopEvent(result=client.name)

    assert run(Flow()) == "sync"


def test_free_functions_take_resources(api: Api) -> None:
    def connect() -> Client:
        return Client("free")

    class Flow(api.Workflow):
        pass

    @api.step(workflow=Flow)
    async def only(ev: api.StartEvent, client: Annotated[Client, api.Resource(connect)]) -> api.StopEvent:
        return api.StopEvent(result=client.name)

    assert run(Flow()) == "free"


def test_factories_take_resources(api: Api) -> None:
    def name() -> str:
        return "chained"

    async def connect(label: Annotated[str, api.Resource(name)]) -> Client:
        return Client(label)

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent, client: Annotated[Client, api.Resource(connect)]) -> api.StopEvent:
            return api.StopEvent(result=client.name)

    assert run(Flow()) == "chained"


def test_a_resource_without_cache_is_one_object_inside_a_step(api: Api) -> None:
    def connect() -> Client:
        return Client()

    shared = api.Resource(connect, cache=False)

    class Search:
        def __init__(self, client: Client) -> None:
            self.client = client

    def search(client: Annotated[Client, shared]) -> Search:
        return Search(client)

    class Flow(api.Workflow):
        @api.step
        async def only(
            self,
            ev: api.StartEvent,
            client: Annotated[Client, shared],
            found: Annotated[Search, api.Resource(search, cache=False)],
        ) -> api.StopEvent:
            return api.StopEvent(result=found.client is client)

    assert run(Flow()) is True


def test_a_factory_that_raises_fails_the_step(api: Api) -> None:
    def connect() -> Client:
        raise ConnectionError("no server")

    with pytest.raises(ConnectionError, match="no server"):
        run(twice(api, api.Resource(connect))())


def test_factories_that_need_each_other_are_an_error(api: Api) -> None:
    def first(other: Annotated[Client, "later"]) -> Client:
        return other

    def second(other: Annotated[Client, api.Resource(first)]) -> Client:
        return other

    first.__annotations__["other"] = Annotated[Client, api.Resource(second)]

    with pytest.raises((ValueError, api.WorkflowValidationError), match="first"):
        run(twice(api, api.Resource(first))())


def config(folder: Path, data: Any, name: str = "settings.json") -> str:
    path = folder / name
    path.write_text(json.dumps(data), encoding="utf-8")
    return str(path)


def reading(api: Api, resource: Any) -> type:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent, settings: Annotated[Settings, resource]) -> api.StopEvent:
            return api.StopEvent(result=settings)

    return Flow


def test_a_configuration_file_becomes_a_model(api: Api, tmp_path: Path) -> None:
    path = config(tmp_path, {"model": "tiny", "limit": 3})
    assert run(reading(api, api.ResourceConfig(config_file=path))()) == Settings(model="tiny", limit=3)


def test_a_part_of_a_configuration_file_is_selected(api: Api, tmp_path: Path) -> None:
    path = config(tmp_path, {"app": {"search": {"model": "small"}}})
    resource = api.ResourceConfig(config_file=path, path_selector="app.search", label="Search", description="settings")
    assert run(reading(api, resource)()) == Settings(model="small")


def test_a_factory_takes_a_configuration(api: Api, tmp_path: Path) -> None:
    path = config(tmp_path, {"model": "named"})

    def connect(settings: Annotated[Settings, api.ResourceConfig(config_file=path)]) -> Client:
        return Client(settings.model)

    assert run(twice(api, api.Resource(connect))())[0].name == "named"


def test_a_missing_configuration_file_is_refused(api: Api, tmp_path: Path) -> None:
    path = str(tmp_path / "absent.json")
    assert "absent.json" in refused(
        api.WorkflowValidationError, lambda: reading(api, api.ResourceConfig(config_file=path))()
    )


def test_a_configuration_that_does_not_fit_its_model_is_refused(api: Api, tmp_path: Path) -> None:
    path = config(tmp_path, {"limit": 3})
    assert "model" in refused(api.WorkflowValidationError, lambda: reading(api, api.ResourceConfig(config_file=path))())


def test_a_selected_part_that_is_absent_is_refused(api: Api, tmp_path: Path) -> None:
    path = config(tmp_path, {"app": {}})
    refused(
        api.WorkflowValidationError,
        lambda: reading(api, api.ResourceConfig(config_file=path, path_selector="app.search"))(),
    )


def test_only_json_files_are_configurations(api: Api) -> None:
    with pytest.raises(ValueError, match="JSON"):
        api.ResourceConfig(config_file="settings.yaml")


def test_a_manager_keeps_what_is_set(api: Api) -> None:
    async def main() -> None:
        manager = api.ResourceManager()
        await manager.set("name", 5)
        assert manager.get_all() == {"name": 5}

    go(main())


def test_a_manager_resolves_a_resource(api: Api) -> None:
    def connect() -> Client:
        return Client()

    async def main() -> None:
        manager = api.ResourceManager()
        resource = api.Resource(connect)
        assert await manager.get(resource) is await manager.get(resource)

    go(main())


def test_two_flows_with_one_manager_share_resources(api: Api) -> None:
    def connect() -> Client:
        return Client()

    Flow = twice(api, api.Resource(connect))
    manager = api.ResourceManager()
    assert run(Flow(resource_manager=manager))[0] is run(Flow(resource_manager=manager))[0]


def test_validate_can_resolve_resources(api: Api) -> None:
    def connect() -> Client:
        raise ConnectionError("no server")

    flow = twice(api, api.Resource(connect))()
    assert flow.validate() is False
    with pytest.raises(api.WorkflowValidationError, match="no server"):
        flow.validate(validate_resources=True)


@pytest.mark.parametrize("kind", ["lambda", "any arguments", "method", "class method"])
def test_functions_and_methods_of_all_kinds_are_factories(api: Api, kind: str) -> None:
    def anything(*arguments: Any, **options: Any) -> Client:
        assert (arguments, options) == ((), {})
        return Client("made")

    class Maker:
        def make(self) -> Client:
            return Client("made")

        @classmethod
        def of_class(cls) -> Client:
            return cls().make()

    factory = {
        "lambda": lambda: Client("made"),
        "any arguments": anything,
        "method": Maker().make,
        "class method": Maker.of_class,
    }[kind]
    first, second = run(twice(api, api.Resource(factory))())
    assert first is second
    assert first.name == "made"
