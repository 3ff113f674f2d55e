"""By meaning: the inner product of the query's vector with those of the nodes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from citewell.protocols import Embedder, Ranking, View
from citewell.retrieval.ranks import found
from citewell.types import Query

if TYPE_CHECKING:
    from citewell.protocols import Rows, Scores, Vectors


class Dense:
    """Exact search with the vectors of `embedder`; the last `remember` texts are not embedded again."""

    name = "dense"

    def __init__(self, embedder: Embedder, remember: int = 256) -> None:
        self._embedder = embedder
        self._remember = remember
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()

    async def search(self, query: Query, view: View, limit: int) -> Ranking:
        """The best `limit` rows. Raises ModelUnavailable."""
        return found(self.name, view.dense(await self._vector(query.text), limit))

    async def score(self, query: Query, view: View, rows: Rows) -> Scores:
        """The inner product of each of `rows`."""
        return view.dense_scores(await self._vector(query.text), rows)

    async def _vector(self, text: str) -> Vectors:
        vector = self._vectors.get(text)
        if vector is None:
            vector = (await self._embedder.embed([text], role="query"))[0]
            self._vectors[text] = vector
            while len(self._vectors) > self._remember:
                self._vectors.popitem(last=False)
        else:
            self._vectors.move_to_end(text)
        return vector
