"""A picture in which nothing is written, as a document: the picture itself under the name of its file."""

from __future__ import annotations

from typing import Final

from citewell.reading.images import picture
from citewell.reading.pieces import title_from_uri
from citewell.types import Account, Asset, Block, BlockKind, Document, Region, Source, Span, Tally, content_hash

READER: Final = "picture@1"


def silent_picture(source: Source) -> Document | None:
    """The picture in `source` as a document of one figure, or None where it is no picture; nothing is decoded.

    Its text is its title, made of the file's name, which the source does not say: no node should be made of it.
    """
    found = picture(source.content)
    if found is None:
        return None
    title = title_from_uri(source.uri)
    span = Span(0, len(title))
    box = (0.0, 0.0, float(found.width), float(found.height)) if found.width and found.height else None
    regions = (Region(1, box),)
    identity = content_hash(source.content)
    asset = Asset(identity, found.media_type, source.content, span, regions, "", "", found.width, found.height)
    return Document.of(
        source,
        reader=READER,
        media_type=found.media_type,
        title=title,
        text=title,
        blocks=(Block(BlockKind.FIGURE, span, regions=regions, asset=identity),),
        metadata={"width": found.width, "height": found.height},
        pages=1,
        account=Account.of(Tally(images=1, pages=1), {}),
        assets=(asset,),
    )
