"""The two import roots, the place of every public name below them, and programs loaded under either."""

import importlib
import re
import sys
import types
from pathlib import Path
from typing import Any

PEER = "workflows"
OURS = "citewell.workflow"
PROGRAMS = Path(__file__).parent / "programs"

_NAMES = {
    "": "Context Workflow catch_error step",
    "events": """Event EventType HumanResponseEvent InputRequiredEvent InternalDispatchEvent StartEvent StepFailedEvent
        StepState StepStateChanged StopEvent UnhandledEvent WorkflowCancelledEvent WorkflowFailedEvent
        WorkflowIdleEvent WorkflowTimedOutEvent""",
    "errors": """ContextSerdeError ContextStateError WorkflowCancelledByUser WorkflowConfigurationError
        WorkflowRuntimeError WorkflowStepDoesNotExistError WorkflowTimeoutError WorkflowValidationError""",
    "collect": "All Collect Take",
    "resource": "Resource ResourceConfig ResourceManager",
    "retry_policy": """ConstantDelayRetryPolicy ExponentialBackoffRetryPolicy RetryInfo RetryPolicy retry_all
        retry_always retry_any retry_if_exception retry_if_exception_cause_type retry_if_exception_message
        retry_if_exception_type retry_if_not_exception_message retry_if_not_exception_type retry_never retry_policy
        retry_unless_exception_type stop_after_attempt stop_after_delay stop_all stop_any stop_before_delay stop_never
        wait_chain wait_combine wait_exponential wait_exponential_jitter wait_fixed wait_full_jitter wait_incrementing
        wait_none wait_random wait_random_exponential""",
    "testing": "WorkflowTestRunner",
    "representation": "get_workflow_representation",
    "handler": "WorkflowHandler",
    "context.serializers": "BaseSerializer JsonSerializer PickleSerializer",
    "context.state_store": "DictState InMemoryStateStore",
}
PLACES = {name: place for place, names in _NAMES.items() for name in names.split()}

# Places that hold a name a second time: users import from either.
ALSO_AT = [
    ("context", "Context"),
    ("context", "JsonSerializer"),
    ("context", "PickleSerializer"),
    ("decorators", "catch_error"),
    ("decorators", "step"),
    ("workflow", "Workflow"),
]


class Api:
    """The names of one root as attributes: `api.Workflow`, `api.StopEvent`, `api.wait_fixed`.

    No name occurs at two places with two meanings, so one level is enough. A name that the root lacks fails the
    test that uses it, and no other.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def __getattr__(self, name: str) -> Any:
        if name not in PLACES:
            raise AttributeError(f"{name!r} is no public name of llama-index-workflows; see roots.py.")
        value = getattr(self.place(PLACES[name]), name)
        setattr(self, name, value)
        return value

    def place(self, module: str) -> types.ModuleType:
        return importlib.import_module(f"{self.root}.{module}" if module else self.root)

    def program(self, name: str) -> types.ModuleType:
        """`programs/NAME.py` as an importable module whose imports name this root."""
        module_name = f"compat_{name}_under_{self.root.replace('.', '_')}"
        if module_name in sys.modules:
            return sys.modules[module_name]
        path = PROGRAMS / f"{name}.py"
        source = re.sub(rf"^from {PEER}\b", f"from {self.root}", path.read_text("utf-8"), flags=re.MULTILINE)
        module = types.ModuleType(module_name)
        module.__file__ = str(path)
        # Registered, because serializers and `typing.get_type_hints` find classes by the name of their module.
        sys.modules[module_name] = module
        try:
            exec(compile(source, str(path), "exec"), module.__dict__)
        except BaseException:
            del sys.modules[module_name]
            raise
        return module
