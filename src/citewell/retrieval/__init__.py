"""Query → ranking: dense, lexical, and retrievers made of retrievers. They see only through the view they are given."""

from citewell.retrieval.dense import Dense
from citewell.retrieval.fuse import Fused
from citewell.retrieval.lexical import Lexical

__all__ = ["Dense", "Fused", "Lexical"]
