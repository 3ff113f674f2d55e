"""By the words of the query: BM25."""

from __future__ import annotations

from typing import TYPE_CHECKING

from citewell.protocols import Ranking, View
from citewell.retrieval.ranks import found
from citewell.types import Query

if TYPE_CHECKING:
    from citewell.protocols import Rows, Scores


class Lexical:
    """BM25 over the visible rows; a row that holds no term of the query is not found, and scores 0."""

    name = "lexical"

    async def search(self, query: Query, view: View, limit: int) -> Ranking:
        """The best `limit` rows."""
        return found(self.name, view.lexical(query.text, limit))

    async def score(self, query: Query, view: View, rows: Rows) -> Scores:
        """The BM25 score of each of `rows`."""
        return view.lexical_scores(query.text, rows)
