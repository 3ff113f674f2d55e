"""Pictures of documents get the words of a vision model: asked once a picture, kept with it, marked as derived.

What the model says is found by search and never quoted: it stands nowhere in the source. That it cannot be asked is a
warning on the document, which is then read anew by the next run.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Final

from citewell.errors import ModelUnavailable
from citewell.protocols import Describer, Store
from citewell.types import Asset, Document

MEDIA_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What vision models take. Others would have to be decoded first, which is done in worker processes only."""

MAX_BYTES: Final = 5_000_000
"""The largest picture that is sent: the least of what providers allow."""

_AT_ONCE: Final = 4
_IN_VAIN: Final = 3  # failures in a row after which the model counts as gone


@dataclass(frozen=True, slots=True)
class Pictures:
    """Which pictures are described, by whom: of each document the first `at_most` with sides of `min_side` pixels."""

    describer: Describer
    at_most: int = 50
    min_side: int = 100

    @property
    def identity(self) -> str:
        """Changes whenever the same document would get other descriptions."""
        return f"pictures@1({self.describer.identity},{self.at_most},{self.min_side})"


@dataclass(slots=True)
class Describing:
    """The pictures of one ingestion: equal ones are asked about once, and none once the model is gone."""

    pictures: Pictures
    store: Store
    _asked: dict[str, asyncio.Task[str | None]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _failures: int = 0
    _last: str = ""

    async def describe(self, document: Document) -> tuple[Document, bool]:
        """`document` with descriptions on its assets and warnings of those that lack one; whether all were asked."""
        by = self.pictures.describer.identity
        chosen, left_out = _chosen(document, self.pictures)
        known = await self.store.descriptions([asset.id for asset in chosen], by)
        missing = [asset for asset in chosen if asset.id not in known]
        said = await asyncio.gather(*(self._ask(asset) for asset in missing))
        known |= {asset.id: words for asset, words in zip(missing, said, strict=True) if words is not None}
        failed = len(missing) - sum(words is not None for words in said)
        warnings = list(document.warnings)
        if failed:
            warnings.append(f"Pictures not described: {failed}, for {self._last} They are tried again by the next run.")
        warnings += left_out
        assets = tuple(
            replace(asset, description=known[asset.id], described_by=by) if asset.id in known else asset
            for asset in document.assets
        )
        return replace(document, assets=assets, warnings=tuple(warnings)), not failed

    async def _ask(self, asset: Asset) -> str | None:
        # One task a picture, shared: both lanes may hold documents with the same letterhead.
        if asset.id not in self._asked:
            self._asked[asset.id] = asyncio.create_task(self._describe(asset))
        return await asyncio.shield(self._asked[asset.id])

    async def _describe(self, asset: Asset) -> str | None:
        """What the describer says, or None where it could not be asked."""
        async with self._slots:
            if self._failures >= _IN_VAIN:
                return None
            try:
                words = await self.pictures.describer.describe(asset.content, asset.media_type)
            except ModelUnavailable as error:
                self._fail(str(error))
                return None
            except Exception as error:  # noqa: BLE001 - whatever a describer raises is one picture without a description
                self._fail(f"{type(error).__name__}: {error}")
                return None
            self._failures = 0
            return " ".join(words.split())

    def _fail(self, reason: str) -> None:
        self._failures += 1
        self._last = f"{' '.join(reason.split()).rstrip('.')[:300]}."


def _chosen(document: Document, pictures: Pictures) -> tuple[list[Asset], list[str]]:
    """The assets to describe, and warnings on those that are left out for what they are or for their number."""
    shown = {block.asset for block in document.blocks if not (block.hidden or block.boilerplate)}
    unseen = {block.asset for block in document.blocks} - shown
    least = pictures.min_side
    fit = [
        asset
        for asset in document.assets
        if asset.id not in unseen
        and (not asset.width or asset.width >= least)
        and (not asset.height or asset.height >= least)
    ]
    sent = [asset for asset in fit if asset.media_type in MEDIA_TYPES and len(asset.content) <= MAX_BYTES]
    warnings = []
    if len(sent) < len(fit):
        said = f"{MAX_BYTES / 1e6:g} MB or neither PNG, JPEG, GIF nor WebP"
        warnings.append(f"Pictures not described, for being above {said}: {len(fit) - len(sent)}.")
    if len(sent) > pictures.at_most:
        warnings.append(
            f"Pictures not described: {len(sent) - pictures.at_most}, for being more than describing.max_pictures "
            f"({pictures.at_most})."
        )
    return sent[: pictures.at_most], warnings
