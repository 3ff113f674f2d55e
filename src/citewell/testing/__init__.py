"""What tests of Citewell and of its users share: fakes that are real parts, and the contract of every Protocol."""

from citewell.models.hashing import HashEmbedder
from citewell.testing.scripted import ScriptedGenerator

__all__ = ["HashEmbedder", "ScriptedGenerator"]
