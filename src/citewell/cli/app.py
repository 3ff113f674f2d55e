"""`citewell`: from the command line to an exit code: 0 done, 1 the thing asked for failed, 2 wrong use, 130 stopped."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_DONE, _FAILED, _WRONG_USE, _STOPPED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Errors are one line on stderr, or with `--json` a document on stdout."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and set(given) <= {"--version", "--json"} and "--version" in given:
        from citewell.cli.options import show_version

        return show_version(as_json="--json" in given)

    import typer

    from citewell.cli.commands import app
    from citewell.errors import CitewellError

    try:
        done = typer.main.get_command(app)(given or ["--help"], prog_name="citewell", standalone_mode=False)
    except typer.TyperException as error:
        # What typer found wrong on the command line.
        context = getattr(error, "ctx", None)
        hint = f"Try `{context.command_path if context else 'citewell'} --help`."
        said = error.format_message().rstrip(".")
        return _report(given, "UsageError", f"{said}{'' if said.endswith('?') else '.'} {hint}", _WRONG_USE)
    except typer.Abort:
        return _report(given, "Stopped", "Nothing was done.", _FAILED)
    except KeyboardInterrupt:
        return _stopped(given)
    except CitewellError as error:
        _trace(given)
        return _citewell_error(given, error)
    except Exception as error:  # noqa: BLE001 - the outermost boundary: a person gets a line, not a traceback
        _trace(given)
        message = (
            f"{error}. This is a fault of Citewell; --debug shows where." if str(error) else "--debug shows where."
        )
        return _report(given, type(error).__name__, message, _FAILED)
    if done == _STOPPED:
        return _stopped(given)
    if not given:
        return _WRONG_USE
    return int(done or _DONE)


def _stopped(given: Sequence[str]) -> int:
    return _report(given, "Stopped", "Stopped. What was finished before is kept; nothing is half done.", _STOPPED)


def _citewell_error(given: Sequence[str], error: Exception) -> int:
    from citewell.cli.options import MissingKnowledgeBase
    from citewell.errors import CitewellError, ConfigError
    from citewell.workflow.errors import JournalFailed

    # A run that could not be recorded says so; what went wrong with the record is the story.
    while isinstance(error, JournalFailed) and isinstance(error.__cause__, CitewellError):
        error = error.__cause__
    wrong_use = isinstance(error, ConfigError | MissingKnowledgeBase)
    return _report(given, type(error).__name__, str(error), _WRONG_USE if wrong_use else _FAILED)


def _report(given: Sequence[str], kind: str, message: str, code: int) -> int:
    from citewell.cli.plain import clean, line
    from citewell.cli.screen import complain, write

    if _asks_for(given, "--json"):
        from citewell.cli.encode import document

        write(document({"error": {"type": kind, "message": clean(message)}}))
    else:
        complain(f"citewell: {line(message)}")
    return code


def _trace(given: Sequence[str]) -> None:
    if _asks_for(given, "--debug"):
        import traceback

        traceback.print_exc()


def _asks_for(given: Sequence[str], option: str) -> bool:
    """Whether `option` was given, judged before or without parsing: the line itself may be what is wrong."""
    options = given[: given.index("--")] if "--" in given else given
    return option in options
