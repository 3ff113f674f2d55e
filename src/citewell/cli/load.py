"""`MODULE:NAME` as a workflow: found, imported and made, or an exact reason why not."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any

from citewell.errors import CitewellError, ConfigError

if TYPE_CHECKING:
    from citewell.workflow import Workflow


def find_workflow(name: str) -> type[Workflow] | Workflow:
    """The class, or the object, that a command line names. Raises ConfigError, or what a definition is refused for."""
    from citewell.workflow import Workflow

    module_name, colon, path = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module_name.split("."), *path.split("."))):
        raise ConfigError(f"{name!r} names no workflow: write MODULE:CLASS, for example shop.refunds:Refund.")
    found: Any = _module(module_name)
    for part in path.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"{module_name} has no {path!r}.{_choice(module_name, sys.modules[module_name])}")
        found = getattr(found, part)
    if isinstance(found, Workflow) or (isinstance(found, type) and issubclass(found, Workflow)):
        return found
    kind = "a class" if isinstance(found, type) else f"of type {type(found).__name__}"
    raise ConfigError(f"{name} is {kind}, and no Workflow.{_choice(module_name, sys.modules[module_name])}")


def make_workflow(name: str, *, timeout_s: float | str | None = "own") -> Workflow:
    """The named object, or one of the named class, made without arguments. Raises ConfigError when it needs some."""
    found = find_workflow(name)
    if isinstance(found, type):
        try:
            inspect.signature(found).bind()
        except TypeError:
            needed = ", ".join(
                one.name
                for one in inspect.signature(found).parameters.values()
                if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
            )
            raise ConfigError(
                f"{name} cannot be made without arguments: it needs {needed}. Give them defaults, or name an object "
                "of it that the module makes, as MODULE:OBJECT."
            ) from None
        made = found()
    else:
        made = found
    if not isinstance(timeout_s, str):
        made._timeout = timeout_s
    return made


def _module(name: str) -> Any:
    here = os.getcwd()
    if sys.path[:1] not in ([here], [""]):
        # As `python -m` does: what lies in the current folder goes before what is installed.
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"There is no module {error.name!r} in {here}, and none is installed. Run this where there is one."
            ) from error
        raise ConfigError(
            f"Module {name} cannot be imported: it needs {error.name!r}, which is not installed."
        ) from error
    except CitewellError:
        # A workflow in it is not well defined, and says so itself.
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"Module {name} cannot be imported. {type(error).__name__}: {error}") from error


def _choice(module_name: str, module: Any) -> str:
    from citewell.workflow import Workflow

    found = [
        name
        for name, value in vars(module).items()
        if value is not Workflow
        and (isinstance(value, Workflow) or (isinstance(value, type) and issubclass(value, Workflow)))
    ]
    if not found:
        return f" There is no workflow in {module_name}."
    return f" The workflows in {module_name}: {', '.join(found)}."
