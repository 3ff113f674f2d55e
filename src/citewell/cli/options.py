"""The options every command takes, before or after its name, and what they make: a `Session`."""

from __future__ import annotations

import inspect
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from citewell.cli.screen import Screen, write
from citewell.errors import CitewellError, ConfigError

if TYPE_CHECKING:
    from citewell.sync import KnowledgeBase
    from citewell.types import Principal

DEFAULT_FOLDER = ".citewell"
VARIABLE = "CITEWELL_KB"

_OPTIONS: dict[str, Any] = {
    "kb": Annotated[
        str | None,
        typer.Option("--kb", metavar="PATH", help=f"The knowledge base's folder. [{VARIABLE}; ./{DEFAULT_FOLDER}]"),
    ],
    "as_json": Annotated[bool | None, typer.Option("--json", help="Print one JSON document and nothing else.")],
    "as_user": Annotated[str | None, typer.Option("--as", metavar="user:NAME", help="Who asks. [the local user]")],
    "group": Annotated[
        list[str] | None, typer.Option("--group", metavar="NAME", help="A group of who asks; can be repeated.")
    ],
    "quiet": Annotated[bool | None, typer.Option("--quiet", "-q", help="No progress, no notes: the result alone.")],
    "no_color": Annotated[bool | None, typer.Option("--no-color", help="No colours; NO_COLOR=1 does the same.")],
    "debug": Annotated[bool | None, typer.Option("--debug", help="Show where in the code an error came from.")],
}


class MissingKnowledgeBase(CitewellError):
    """A command that only reads was pointed at a folder that holds no knowledge base."""


@dataclass(frozen=True, slots=True)
class Session:
    """What the global options of one command line say."""

    kb: str | None = None
    as_json: bool = False
    as_user: str | None = None
    group: tuple[str, ...] = ()
    quiet: bool = False
    no_color: bool = False
    debug: bool = False
    screen: Screen = field(default_factory=Screen)

    @property
    def folder(self) -> Path:
        """The knowledge base's folder as named."""
        return Path(self.kb or os.environ.get(VARIABLE) or DEFAULT_FOLDER)

    @property
    def principal(self) -> Principal:
        """Who asks. Raises ConfigError for a name that is not `user:NAME`."""
        from citewell.types import Principal

        groups = frozenset(one.removeprefix("group:") for one in self.group)
        if not all(groups):
            raise ConfigError("--group needs a name, for example --group finance.")
        if self.as_user is None:
            return Principal.local(*groups)
        kind, _, name = self.as_user.partition(":")
        if kind != "user" or not name:
            raise ConfigError(f"--as {self.as_user!r} is no user: write --as user:NAME, and groups as --group NAME.")
        return Principal("local", name, groups)

    def open(self, *, create: bool = False) -> KnowledgeBase:
        """The knowledge base, to be closed by `with`. Raises MissingKnowledgeBase; only `create` makes one."""
        import citewell

        principal = self.principal
        if not create:
            self.require()
        return citewell.open(self.folder, principal=principal, create=create)

    def require(self) -> None:
        """Raise MissingKnowledgeBase when there is none in the folder."""
        from citewell.storage.schema import FILE_NAME

        if not (self.folder / FILE_NAME).is_file():
            raise MissingKnowledgeBase(
                f"There is no knowledge base in {self.folder.absolute()}. "
                f"Make one there with `citewell ingest PATH`, or name another with --kb or {VARIABLE}."
            )

    def json(self, value: object) -> None:
        """Print the one JSON document of this command."""
        from citewell.cli.encode import document

        write(document(value))


def command(
    app: typer.Typer, name: str, *, examples: str, group: bool = False
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Make a function `(session, …) → exit code` a command of `app` that takes the global options too.

    With `group` it is what `app` itself does when no command of it is named.
    """

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        hints = get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]
        parameters = [
            inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
            *(one.replace(annotation=hints[one.name], kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
            *(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
                for name, annotation in _OPTIONS.items()
            ),
        ]

        @wraps(function)
        def run(context: typer.Context, **given: Any) -> int:
            session = _merged(context, {name: given.pop(name) for name in _OPTIONS})
            if group and context.invoked_subcommand is not None:
                return 0
            return function(session, **given)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        help_ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n\b\nExamples:\n{_indented(examples)}"
        if group:
            app.callback(invoke_without_command=True, help=help_)(run)
        else:
            app.command(name, help=help_)(run)
        return function

    return decorate


def root(app: typer.Typer, *, help_: str) -> None:
    """Give `app` itself the global options, so that they can stand before the command."""

    def run(context: typer.Context, **given: Any) -> None:
        if given.pop("version"):
            raise typer.Exit(show_version(as_json=bool(given["as_json"])))
        _merged(context, given)

    version = Annotated[bool, typer.Option("--version", help="Print the version.")]
    parameters = [
        inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for name, annotation in _OPTIONS.items()
        ),
        inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=version),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    app.callback(help=help_)(run)


def show_version(*, as_json: bool) -> int:
    """Print the version; exit code 0."""
    import citewell

    if as_json:
        from citewell.cli.encode import document

        write(document({"version": citewell.__version__}))
    else:
        write(f"citewell {citewell.__version__}\n")
    return 0


def _merged(context: typer.Context, given: dict[str, Any]) -> Session:
    """The session so far with what this level of the command line adds; kept on the context for the levels below."""
    before = context.obj if isinstance(context.obj, Session) else Session()
    said = {name: value for name, value in given.items() if value}
    if "group" in said:
        said["group"] = (*before.group, *said["group"])
    session = replace(before, **said)
    said_again = [("--kb", session.kb), ("--as", session.as_user)]
    program = shlex.join(["citewell", *(part for name, value in said_again if value for part in (name, value))])
    session = replace(session, screen=Screen(no_color=session.no_color, quiet=session.quiet, program=program))
    context.obj = session
    return session


def _indented(examples: str) -> str:
    return "\n".join(f"  {line}" for line in inspect.cleandoc(examples).splitlines())
