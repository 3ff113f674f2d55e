"""Running a workflow in a test and collecting what it streamed."""

from citewell.workflow.testing.runner import WorkflowTestResult, WorkflowTestRunner

__all__ = ["WorkflowTestResult", "WorkflowTestRunner"]
