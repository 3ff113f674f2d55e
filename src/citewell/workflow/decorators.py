"""`step` and `catch_error`, where users of llama-index-workflows look for them."""

from citewell.workflow.step import StepGraphCheck, catch_error, step

__all__ = ["StepGraphCheck", "catch_error", "step"]
