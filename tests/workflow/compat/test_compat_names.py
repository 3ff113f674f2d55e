"""Every public name is where LlamaIndex users import it from."""

import pytest
from roots import ALSO_AT, PLACES, Api


@pytest.mark.parametrize("name", sorted(PLACES))
def test_the_name_is_at_its_place(api: Api, name: str) -> None:
    assert getattr(api, name) is not None


@pytest.mark.parametrize(("place", "name"), ALSO_AT)
def test_the_name_is_the_same_object_at_its_second_place(api: Api, place: str, name: str) -> None:
    assert getattr(api.place(place), name) is getattr(api, name)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("StartEvent", "Event"),
        ("StopEvent", "Event"),
        ("InputRequiredEvent", "Event"),
        ("HumanResponseEvent", "Event"),
        ("StepFailedEvent", "Event"),
        ("WorkflowFailedEvent", "StopEvent"),
        ("WorkflowTimedOutEvent", "StopEvent"),
        ("WorkflowCancelledEvent", "StopEvent"),
        ("InternalDispatchEvent", "Event"),
        ("StepStateChanged", "InternalDispatchEvent"),
        ("UnhandledEvent", "InternalDispatchEvent"),
        ("WorkflowIdleEvent", "InternalDispatchEvent"),
        ("PickleSerializer", "JsonSerializer"),
        ("JsonSerializer", "BaseSerializer"),
    ],
)
def test_a_class_derives_from_its_base(api: Api, name: str, base: str) -> None:
    assert issubclass(getattr(api, name), getattr(api, base))


def test_no_error_is_caught_as_another(api: Api) -> None:
    errors = [
        getattr(api, name)
        for name, place in PLACES.items()
        if place == "errors" and name != "WorkflowStepDoesNotExistError"
    ]
    for error in errors:
        assert issubclass(error, Exception)
        assert [other for other in errors if issubclass(error, other)] == [error]
