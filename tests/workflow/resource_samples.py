"""Things that steps are given, and how a function gets them as a step does."""

import asyncio
import inspect
import typing
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from citewell.workflow.resource import (
    ResourceDefinition,
    ResourceManager,
    definitions,
    resolve,
)


class Thing:
    def __init__(self, *parts: object) -> None:
        self.parts = parts


class Model(BaseModel):
    name: str
    size: int = 1


class Other(BaseModel):
    name: str


def compiled(fn: Callable[..., Any], **names: Any) -> tuple[ResourceDefinition, ...]:
    hints = typing.get_type_hints(fn, include_extras=True, localns=names)
    return definitions(fn, hints, inspect.signature(fn).parameters.values(), names=names)


def resolved(manager: ResourceManager, fn: Callable[..., Any], **names: Any) -> dict[str, Any]:
    return asyncio.run(resolve(manager, compiled(fn, **names)))
