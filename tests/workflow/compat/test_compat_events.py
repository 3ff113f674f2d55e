"""Events: declared fields, extra fields, mapping access, validation, serialisation, identity between steps."""

import copy
import pickle
from typing import Any

import pytest
from drive import run
from pydantic import BaseModel, Field, PrivateAttr, ValidationError, computed_field, field_validator
from roots import Api


def test_extra_fields_are_attributes(api: Api) -> None:
    event = api.Event(topic="keys", n=3)
    assert event.topic == "keys"
    assert event.n == 3


def test_extra_fields_are_items(api: Api) -> None:
    event = api.Event(topic="keys")
    assert event["topic"] == "keys"
    assert "topic" in event
    assert "other" not in event


def test_get_gives_the_default_for_a_missing_name(api: Api) -> None:
    event = api.Event(topic="keys")
    assert event.get("topic") == "keys"
    assert event.get("other") is None
    assert event.get("other", 7) == 7


def test_a_missing_attribute_is_an_attribute_error_that_names_it(api: Api) -> None:
    with pytest.raises(AttributeError, match="nothing"):
        api.Event().nothing
    assert not hasattr(api.Event(), "nothing")


def test_a_missing_item_is_a_key_error(api: Api) -> None:
    with pytest.raises(KeyError):
        api.Event()["nothing"]


def test_attributes_and_items_can_be_set(api: Api) -> None:
    event = api.Event()
    event.a = 1
    event["b"] = 2
    assert (event["a"], event.b) == (1, 2)


def test_keys_values_items_and_iteration_cover_the_extra_fields(api: Api) -> None:
    event = api.Event(a=1, b=2)
    assert list(event.keys()) == ["a", "b"]
    assert list(event.values()) == [1, 2]
    assert list(event.items()) == [("a", 1), ("b", 2)]
    assert list(event) == ["a", "b"]
    assert len(event) == 2


def test_to_dict_gives_the_extra_fields(api: Api) -> None:
    assert api.Event(a=1, b=[2]).to_dict() == {"a": 1, "b": [2]}


def test_an_event_without_fields_is_true(api: Api) -> None:
    assert bool(api.Event())


def test_declared_fields_are_checked(api: Api) -> None:
    class Scored(api.Event):
        score: int = Field(ge=0)

    assert Scored(score=2).score == 2
    with pytest.raises(ValidationError):
        Scored(score=-1)
    with pytest.raises(ValidationError):
        Scored(score="many")
    with pytest.raises(ValidationError):
        Scored()


def test_declared_fields_are_converted_as_pydantic_does(api: Api) -> None:
    class Scored(api.Event):
        score: int

    assert Scored(score="3").score == 3


def test_defaults_and_factories_of_declared_fields_apply(api: Api) -> None:
    class Listed(api.Event):
        names: list[str] = Field(default_factory=list)
        limit: int = 10

    assert (Listed().names, Listed().limit) == ([], 10)
    assert Listed().names is not Listed().names


def test_declared_and_extra_fields_live_together(api: Api) -> None:
    class Named(api.Event):
        name: str

    event = Named(name="a", extra=1)
    assert (event.name, event.extra, event["extra"]) == ("a", 1, 1)
    assert "extra" in event


def test_a_declared_field_can_hold_any_object(api: Api) -> None:
    class Client:
        pass

    class Holding(api.Event):
        client: Client

    client = Client()
    assert Holding(client=client).client is client


def test_validators_run(api: Api) -> None:
    class Lower(api.Event):
        name: str

        @field_validator("name")
        @classmethod
        def lower(cls, value: str) -> str:
            return value.lower()

    assert Lower(name="ADA").name == "ada"


def test_private_attributes_are_set_by_name_and_not_dumped(api: Api) -> None:
    class Secret(api.Event):
        name: str
        _token: str = PrivateAttr(default="none")

    assert Secret(name="a")._token == "none"
    event = Secret(name="a", _token="t")
    assert event._token == "t"
    assert "_token" not in event.model_dump()


def test_events_inherit_fields(api: Api) -> None:
    class Parent(api.Event):
        a: int

    class Child(Parent):
        b: int

    assert (Child(a=1, b=2).a, Child(a=1, b=2).b) == (1, 2)
    assert isinstance(Child(a=1, b=2), Parent)


def test_model_dump_holds_declared_fields(api: Api) -> None:
    class Pair(api.Event):
        a: int
        b: list[str]

    assert Pair(a=1, b=["x"]).model_dump() == {"a": 1, "b": ["x"]}


def test_model_dump_and_validate_round_trip_with_extra_fields(api: Api) -> None:
    class Pair(api.Event):
        a: int

    again = Pair.model_validate(Pair(a=1, extra={"x": [1]}).model_dump())
    assert (again.a, again.extra) == (1, {"x": [1]})


def test_json_round_trip_with_nested_models(api: Api) -> None:
    class Inner(BaseModel):
        n: int

    class Outer(api.Event):
        inner: Inner

    again = Outer.model_validate_json(Outer(inner=Inner(n=4)).model_dump_json())
    assert again.inner == Inner(n=4)


def test_equal_events_are_equal(api: Api) -> None:
    class Pair(api.Event):
        a: int

    assert Pair(a=1) == Pair(a=1)
    assert Pair(a=1) != Pair(a=2)
    assert api.Event(x=1) != api.Event(x=2)


def test_model_copy_updates_declared_fields(api: Api) -> None:
    class Pair(api.Event):
        a: int
        b: int

    first = Pair(a=1, b=2)
    assert first.model_copy(update={"a": 5}).a == 5
    assert first.a == 1


def test_a_json_schema_lists_the_declared_fields(api: Api) -> None:
    class Pair(api.Event):
        a: int = Field(description="how many")

    assert Pair.model_json_schema()["properties"]["a"]["description"] == "how many"


def test_repr_names_the_class_and_the_declared_fields(api: Api) -> None:
    class Pair(api.Event):
        a: int

    assert "Pair" in repr(Pair(a=12))
    assert "a=12" in repr(Pair(a=12))


def test_a_stop_event_holds_any_result(api: Api) -> None:
    assert api.StopEvent().result is None
    assert api.StopEvent(result={"a": [1]}).result == {"a": [1]}
    assert api.StopEvent("positional").result == "positional"


def test_a_stop_event_shows_and_dumps_its_result(api: Api) -> None:
    assert str(api.StopEvent(result="done")) == "done"
    assert "result='done'" in repr(api.StopEvent(result="done"))
    assert api.StopEvent(result=3).model_dump() == {"result": 3}


def test_a_stop_event_round_trips_through_its_dump(api: Api) -> None:
    assert api.StopEvent.model_validate(api.StopEvent(result=[1, 2]).model_dump()).result == [1, 2]


def test_a_custom_stop_event_can_define_its_result(api: Api) -> None:
    class Answer(api.StopEvent):
        text: str

        def _get_result(self) -> str:
            return self.text.upper()

    assert Answer(text="yes").result == "YES"


def test_a_custom_stop_event_keeps_its_fields(api: Api) -> None:
    class Answer(api.StopEvent):
        text: str
        sources: list[str] = []  # noqa: RUF012  users write it, and pydantic copies it

    answer = Answer(text="yes", sources=["a"])
    assert (answer.text, answer.sources) == ("yes", ["a"])
    assert answer.model_dump() == {"text": "yes", "sources": ["a"]}


def test_the_prompt_of_an_input_required_event_is_an_extra_field(api: Api) -> None:
    assert api.InputRequiredEvent(prefix="Name? ").prefix == "Name? "
    assert api.HumanResponseEvent(response="Ada").response == "Ada"


def test_an_event_reaches_the_next_step_as_the_same_object(api: Api) -> None:
    sent: list[Any] = []

    class Passed(api.Event):
        numbers: list[int]

    class Flow(api.Workflow):
        @api.step
        async def make(self, ev: api.StartEvent) -> Passed:
            sent.append(Passed(numbers=[1]))
            return sent[0]

        @api.step
        async def take(self, ev: Passed) -> api.StopEvent:
            return api.StopEvent(result=ev is sent[0])

    assert run(Flow()) is True


def test_a_result_is_the_object_the_step_returned(api: Api) -> None:
    result = object()

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=result)

    assert run(Flow()) is result


def test_a_live_object_passes_through_an_event(api: Api) -> None:
    class Holding(api.Event):
        call: Any

    class Flow(api.Workflow):
        @api.step
        async def make(self, ev: api.StartEvent) -> Holding:
            return Holding(call=lambda n: n + 1)

        @api.step
        async def take(self, ev: Holding) -> api.StopEvent:
            return api.StopEvent(result=ev.call(1))

    assert run(Flow()) == 2


def test_copies_keep_extra_fields_and_results(api: Api) -> None:
    event = api.Event(topic=["keys"])
    assert event.model_copy().topic == ["keys"]
    assert copy.deepcopy(event).topic == ["keys"]
    assert copy.deepcopy(event).topic is not event.topic
    assert copy.copy(api.StopEvent(result=3)).result == 3


def test_events_can_be_pickled(api: Api) -> None:
    program = api.program("gathering")
    event = program.Hits(words=["a"], extra=1)
    again = pickle.loads(pickle.dumps(event))
    assert again == event
    assert (again.words, again.extra) == (["a"], 1)


def test_computed_fields_are_read_and_dumped(api: Api) -> None:
    class Sized(api.Event):
        words: list[str]

        @computed_field
        @property
        def size(self) -> int:
            return len(self.words)

    assert Sized(words=["a", "b"]).size == 2
    assert Sized(words=["a"]).model_dump() == {"words": ["a"], "size": 1}


def test_methods_of_an_event_class_are_kept(api: Api) -> None:
    class Named(api.Event):
        name: str

        def greeting(self) -> str:
            return f"Hello {self.name}"

        @classmethod
        def of(cls, name: str) -> "Named":
            return cls(name=name)

    assert Named.of("Ada").greeting() == "Hello Ada"


def test_a_field_may_hold_another_event(api: Api) -> None:
    class Inner(api.Event):
        n: int

    class Outer(api.Event):
        inner: Inner

    inner = Inner(n=1)
    assert Outer(inner=inner).inner is inner
    assert Outer(inner=inner).model_dump() == {"inner": {"n": 1}}
