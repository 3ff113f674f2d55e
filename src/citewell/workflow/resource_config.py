"""A resource that is a part of a JSON file, validated as the type it is asked for."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from citewell.errors import CitewellError


class ResourceError(CitewellError, ValueError):
    """A resource is declared wrongly or cannot be built; names the chain of factories or the file."""


class ResourceFileMissing(ResourceError, FileNotFoundError):
    """The file of a ResourceConfig does not exist."""


class ResourceConfig:
    """A resource read from a JSON file and validated as the T of `Annotated[T, …]`, a pydantic model as a rule.

    `path_selector` names the object inside the file by keys joined with dots. `label` and `description` are for
    drawings. A relative path counts from the working directory at the time the file is first found.
    """

    cache = True

    def __init__(
        self,
        config_file: str,
        path_selector: str | None = None,
        label: str | None = None,
        description: str | None = None,
    ) -> None:
        if Path(config_file).suffix != ".json":
            raise ResourceError(f"ResourceConfig({str(config_file)!r}) is not a .json file. Only JSON can be read.")
        self.config_file = str(config_file)
        self.path_selector = path_selector
        self.label = label
        self.description = description
        self.name = self.config_file if path_selector is None else f"{self.config_file}.{path_selector}"
        self._type: Any = None
        self._path: Path | None = None

    def __repr__(self) -> str:
        selector = "" if self.path_selector is None else f", path_selector={self.path_selector!r}"
        return f"ResourceConfig({self.config_file!r}{selector})"

    @property
    def path(self) -> Path:
        """The absolute path, fixed once there is a file."""
        if self._path is not None:
            return self._path
        path = Path(self.config_file).resolve()
        if path.is_file():
            self._path = path
        return path

    @property
    def key(self) -> Hashable:
        """Path, selector and type: one file read as two models is two resources."""
        return ("config", self.path, self.path_selector, self._type)

    def typed(self, annotation: Any) -> "ResourceConfig":
        """The same file as `annotation`. A descriptor in an alias may stand in several `Annotated`, each with its own
        type, so the type is no property of the one that was written down.
        """
        copy = ResourceConfig(self.config_file, self.path_selector, self.label, self.description)
        copy._type = annotation
        return copy

    def set_type_annotation(self, type_annotation: Any) -> None:
        """The type, unless it is known already."""
        if self._type is None:
            self._type = type_annotation

    def set_localns(self, localns: dict[str, Any] | None) -> None:
        """Nothing: a file has no annotations."""

    def get_dependencies(self) -> list[tuple[str, Any, Any]]:
        """None."""
        return []

    async def resolve(self, manager: object) -> Any:
        """The value in the file as it is now."""
        return self.read()

    def read(self) -> Any:
        """The value in the file as it is now; raises ResourceError naming the file and what is wrong in it."""
        if self._type is None:
            raise ResourceError(f"{self!r} has no type. Use it as Annotated[Model, {self!r}].")
        try:
            value = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ResourceFileMissing(
                f"{self!r}: there is no file {self.path}. Write it, or correct the path."
            ) from error
        except (OSError, ValueError) as error:
            raise ResourceError(f"{self!r}: {self.path} cannot be read as JSON: {error}.") from error
        seen: list[str] = []
        for step in self.path_selector.split(".") if self.path_selector is not None else ():
            if not isinstance(value, dict) or step not in value:
                held = f"the keys {', '.join(map(repr, value))}" if isinstance(value, dict) else _json_kind(value)
                at = repr(".".join(seen)) if seen else "the top"
                raise ResourceError(f"{self!r}: no key {step!r} in {self.path}; at {at} it has {held}.")
            value = value[step]
            seen.append(step)
        try:
            return TypeAdapter(self._type).validate_python(value)
        except ValidationError as error:
            # Without the values: a config may hold a key or a password, and messages end up in logs.
            faults = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}"
                for one in error.errors(include_input=False, include_url=False, include_context=False)
            )
            raise ResourceError(f"{self!r}: {self.path} does not fit {_type_name(self._type)}: {faults}.") from None
        except PydanticUserError as error:
            raise ResourceError(
                f"{self!r}: {_type_name(self._type)} cannot be validated. Use a pydantic model. ({error.message})"
            ) from error


def _type_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _json_kind(value: Any) -> str:
    return {list: "an array", str: "a string", bool: "a truth value", type(None): "null"}.get(type(value), "a number")
