"""What a recorded run is bound to: the wiring, the fields of the events, and the code of every step."""

import ast
import hashlib
import inspect
import json
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from citewell.workflow.errors import DefinitionChanged
from citewell.workflow.plain import PlainEvent
from citewell.workflow.step import StepSpec

if TYPE_CHECKING:
    from citewell.workflow.graph import Graph

WORKFLOW = "workflow"


class Definition(NamedTuple):
    """`parts`: "workflow", "step NAME", "event NAME" and "state" → what they are; `fingerprint` stands for all."""

    fingerprint: str
    parts: Mapping[str, str]


def definition(workflow: object, graph: "Graph") -> Definition:
    """The definition of a workflow's present code.

    A step with a `version` is known by it and its wiring, any other by its source text, without comments, layout and
    docstrings. What a step calls is not part of it: give the step a version when that changes what it means.
    """
    known = _KNOWN.get(id(graph))
    if known is not None and known[0] is graph:
        return known[1]
    parts: dict[str, str] = {}
    declared = getattr(workflow, "version", None)
    parts[WORKFLOW] = graph.name if declared is None else f"{graph.name} {declared}"
    for spec in graph.steps:
        parts[f"step {spec.name}"] = f"{_wiring(spec)} {_code(spec)}"
    for name, kind in graph.events.items():
        parts[f"event {name}"] = _fields(kind)
    if graph.state is not None:
        parts["state"] = f"{graph.state.name} {_fields(graph.state.kind)}"
    made = Definition(fingerprint_of(parts), parts)
    _KNOWN[id(graph)] = (graph, made)
    return made


# By identity, and holding the graph: an id is only unique among living objects.
_KNOWN: dict[int, tuple[Any, Definition]] = {}


def fingerprint_of(parts: Mapping[str, str]) -> str:
    """What stands for these parts: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(dict(parts), sort_keys=True).encode()).hexdigest()[:16]


def check_unchanged(run_id: str, recorded: Mapping[str, str], fingerprint: str, present: Definition) -> None:
    """Raise DefinitionChanged, naming what differs, unless the run was recorded under the present definition."""
    if fingerprint == present.fingerprint:
        return
    changed = [name for name, what in recorded.items() if present.parts.get(name, what) != what]
    gone = [name for name in recorded if name not in present.parts]
    new = [name for name in present.parts if name not in recorded]
    said = [f"{name} has changed" for name in changed]
    said += [f"{name} is gone" for name in gone] + [f"{name} is new" for name in new]
    raise DefinitionChanged(
        f"Run {run_id} was recorded by other code: {'; '.join(said) or 'its fingerprint differs'}. "
        "Finish it with the old code, give unchanged steps a version (@step(version=…)), or declare in the "
        "workflow's `continues` that runs of its old definition may go on "
        f"({fingerprint!r}, or the version it had).",
        changed=[*changed, *gone, *new],
    )


def _wiring(spec: StepSpec) -> str:
    accepts = "|".join(kind.__name__ for kind in spec.accepts)
    emits = "|".join([*(k.__name__ for k in spec.bare), *(f"list[{k.__name__}]" for k in spec.listed)])
    return f"({accepts}{'' if spec.cardinality is None else f' {spec.cardinality!r}'})->{emits or 'None'}"


def _code(spec: StepSpec) -> str:
    if spec.config.version is not None:
        return f"version {spec.config.version}"
    fn = inspect.unwrap(spec.fn)
    try:
        text = ast.unparse(_bare(ast.parse(textwrap.dedent(inspect.getsource(fn)))))
    except (OSError, TypeError, SyntaxError):
        # Without source (a REPL, a frozen program) its byte code has to do, which changes with Python's version.
        code = getattr(fn, "__code__", None)
        text = repr(fn) if code is None else _byte_code(code)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _bare(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and type(first.value.value) is str:
                node.body = node.body[1:] or [ast.Pass()]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # Retries and worker counts may change under a run.
            node.decorator_list = []
    return tree


def _byte_code(code: Any) -> str:
    inner = [_byte_code(one) for one in code.co_consts if hasattr(one, "co_code")]
    plain = [repr(one) for one in code.co_consts if not hasattr(one, "co_code")]
    return repr((code.co_code.hex(), code.co_names, code.co_varnames, plain, inner))


def _fields(kind: type) -> str:
    fields = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "model_fields", None) or {}
    said = [
        f"{name}:{_shown(getattr(field, 'type', None) or getattr(field, 'annotation', None))}"
        for name, field in fields.items()
    ]
    base = next((one.__name__ for one in kind.__mro__[1:] if issubclass(one, PlainEvent)), "")
    return f"{base}({', '.join(said)})"


def _shown(hint: Any) -> str:
    if isinstance(hint, str):
        return hint
    return (
        hint.__qualname__.rpartition(".")[2]
        if isinstance(hint, type) and not getattr(hint, "__args__", None)
        else str(hint)
    )
