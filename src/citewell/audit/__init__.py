"""Checks of the record: whether the journal of a run is whole and unaltered."""

from citewell.audit.chain import verify_chain

__all__ = ["verify_chain"]
