"""Seeing workflows: a step graph, and what one run did, as Mermaid text, SVG and self-contained HTML."""

from citewell.workflow.drawing.mermaid import to_mermaid
from citewell.workflow.drawing.page import to_html
from citewell.workflow.drawing.run import run_mermaid, run_to_html
from citewell.workflow.drawing.svg import to_svg

__all__ = ["run_mermaid", "run_to_html", "to_html", "to_mermaid", "to_svg"]
