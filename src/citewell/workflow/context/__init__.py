"""What a step may ask of its run, and what the outside may."""

from typing import TYPE_CHECKING, Any

from citewell.workflow.context.context import Context, StepContext

if TYPE_CHECKING:
    from citewell.workflow.context.serializers import BaseSerializer, JsonSerializer, PickleSerializer

__all__ = ["BaseSerializer", "Context", "JsonSerializer", "PickleSerializer", "StepContext"]


def __getattr__(name: str) -> Any:
    # Few save contexts with a serializer of their own.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from citewell.workflow.context import serializers

    return getattr(serializers, name)
