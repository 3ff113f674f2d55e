"""What tests of Citewell and of its users share: fakes that are real parts, a virtual clock, and the contract of every
Protocol.

Names are loaded on first use: the clock and the shuffled loop cost no numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from citewell.models.hashing import HashEmbedder
    from citewell.testing.clock import Deadlock, VirtualLoop, run_virtual
    from citewell.testing.scripted import ScriptedDescriber, ScriptedGenerator
    from citewell.testing.scripted_steps import Recording, ScriptEnded, record, with_steps
    from citewell.testing.shuffle import ShuffledLoop, run_shuffled
    from citewell.testing.simulator import Order, Violation, Workload, simulate

_HOMES = {
    "HashEmbedder": "models.hashing",
    **dict.fromkeys(["ScriptedDescriber", "ScriptedGenerator"], "testing.scripted"),
    **dict.fromkeys(["Deadlock", "VirtualLoop", "run_virtual"], "testing.clock"),
    **dict.fromkeys(["Recording", "ScriptEnded", "record", "with_steps"], "testing.scripted_steps"),
    **dict.fromkeys(["ShuffledLoop", "run_shuffled"], "testing.shuffle"),
    **dict.fromkeys(["Order", "Violation", "Workload", "simulate"], "testing.simulator"),
}

__all__ = [
    "Deadlock",
    "HashEmbedder",
    "Order",
    "Recording",
    "ScriptEnded",
    "ScriptedDescriber",
    "ScriptedGenerator",
    "ShuffledLoop",
    "Violation",
    "VirtualLoop",
    "Workload",
    "record",
    "run_shuffled",
    "run_virtual",
    "simulate",
    "with_steps",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'citewell.testing' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"citewell.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
