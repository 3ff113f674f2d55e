"""What a step may ask of its run, and what the outside may."""

from citewell.workflow.context.context import Context, StepContext
from citewell.workflow.context.serializers import BaseSerializer, JsonSerializer, PickleSerializer

__all__ = ["BaseSerializer", "Context", "JsonSerializer", "PickleSerializer", "StepContext"]
