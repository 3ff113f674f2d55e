"""What of one document may repeat in others, and which of its blocks are flagged once that is known to repeat."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from citewell.protocols import Repeatable
from citewell.types import Account, Block, BlockKind, Document, Reason, Tally
from citewell.types.accounts import count_characters

if TYPE_CHECKING:
    from citewell.protocols import Digests

LONG: Final = 40
"""Characters without spaces. A shorter line says something of its document however often it is said
("Warranty: 24 months"), and does little harm where it does not."""

_PROSE: Final = (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM)
_AROUND: Final = (BlockKind.HEADING, BlockKind.HEADER, BlockKind.FOOTER)
_SOLID: Final = (BlockKind.TABLE, BlockKind.FAQ, BlockKind.CODE)
# A numbered paragraph is a clause: contracts are asked about what all of them say.
_CLAUSE: Final = re.compile(r"\W*\d|\s*§|\s*(?:art(?:icle|ikel)?|section|clause|ziffer)\b\.?\s", re.IGNORECASE)


def repeatable(document: Document) -> Repeatable:
    """The long paragraphs and list items of a document as it was read, by digest.

    Equal are texts that differ in nothing but white space and case. Numbers count: they are what people ask for.
    """
    digests: list[bytes] = []
    blocks: list[int] = []
    sizes: list[int] = []
    total = 0
    for number, block in enumerate(document.blocks):
        if block.hidden or block.boilerplate:
            continue
        text = block.span.of(document.text)
        if block.kind not in _PROSE:
            total += count_characters(text)
            continue
        words = text.casefold().split()
        size = sum(map(len, words))
        total += size
        if size >= LONG and not _CLAUSE.match(text):
            said = " ".join(words).encode("utf-8", "surrogatepass")
            digests.append(hashlib.blake2b(said, digest_size=8).digest())
            blocks.append(number)
            sizes.append(size)
    return Repeatable(
        digests=np.frombuffer(b"".join(digests), "<u8").astype(np.uint64),
        blocks=np.array(blocks, np.int64),
        sizes=np.array(sizes, np.int64),
        total=total,
        repeated=np.zeros(0, np.uint64),
    )


def flag(document: Document, held: Repeatable, repeated: Digests) -> tuple[Document, Repeatable]:
    """The document with its repeated texts flagged as boilerplate and no others of `held`; `held` with `repeated`.

    Flagged is what stands at an edge of the document, unless a section, or the document, would lose all its text. What
    the reader flagged stays flagged. The account follows. Depends on nothing but the text, `held` and `repeated`.
    """
    repeats = set(held.blocks[np.isin(held.digests, repeated)].tolist())
    own = set(held.blocks.tolist())
    blocks = document.blocks
    wanted = _sparing(blocks, document.text, own, _at_edges(blocks, document.text, own, repeats)) if repeats else set()
    done = replace(held, repeated=repeated, flagged=len(wanted))
    changed = {number for number in own if blocks[number].boilerplate != (number in wanted)}
    if not changed:
        return document, done
    account = document.account
    for number in sorted(changed):
        account = _moved(account, count_characters(blocks[number].span.of(document.text)), out=number in wanted)
    flagged = tuple(
        replace(block, boilerplate=number in wanted) if number in changed else block
        for number, block in enumerate(blocks)
    )
    return replace(document, blocks=flagged, account=account), done


def _at_edges(blocks: Sequence[Block], text: str, own: Set[int], repeats: Set[int]) -> set[int]:
    """Those of `repeats` before which (or, from the end, after which) no long text stands that does not repeat.

    Notices stand before or after what a document is about; what repeats in its midst is part of it.
    """
    found: set[int] = set()
    directions: tuple[Iterable[int], ...] = (range(len(blocks)), range(len(blocks) - 1, -1, -1))
    for direction in directions:
        for number in direction:
            block = blocks[number]
            if number in repeats:
                found.add(number)
            elif block.hidden or block.kind in _AROUND or (block.boilerplate and number not in own):
                continue
            elif block.kind in _SOLID or count_characters(block.span.of(text)) >= LONG:
                break
    return found


def _sparing(blocks: Sequence[Block], text: str, own: Set[int], found: set[int]) -> set[int]:
    """`found` without what is all the text of its section or of the document."""
    left = set(found)
    ends: dict[int, int] = {}
    opened: list[int] = []
    for number, block in enumerate(blocks):
        if block.kind is BlockKind.HEADING:
            while opened and blocks[opened[-1]].level >= block.level:
                ends[opened.pop()] = number
            opened.append(number)
    ends.update(dict.fromkeys(opened, len(blocks)))
    said = [
        number
        for number, block in enumerate(blocks)
        if not (block.hidden or block.kind in _AROUND or (block.boilerplate and number not in own))
        and block.span.of(text).strip()
    ]
    # Inner sections first: what they keep is text of the outer ones.
    for first, last in [*sorted(ends.items(), reverse=True), (0, len(blocks))]:
        inside = said[bisect_left(said, first) : bisect_left(said, last)]
        if inside and left.issuperset(inside):
            left.difference_update(inside)
    return left


def _moved(account: Account, characters: int, *, out: bool) -> Account:
    """`account` with so many characters more (or fewer) left out as boilerplate, as far as it has them."""
    plate = account.left_out.get(Reason.BOILERPLATE, Tally())
    there = (account.kept if out else plate).characters
    change = min(characters, there) * (1 if out else -1)
    kept = replace(account.kept, characters=account.kept.characters - change)
    flagged = replace(plate, characters=plate.characters + change)
    return Account.of(kept, {**account.left_out, Reason.BOILERPLATE: flagged})
