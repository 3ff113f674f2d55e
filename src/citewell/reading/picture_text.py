"""Files that say nothing but in their pictures, as those do into which scans were pasted: the pictures are read."""

from __future__ import annotations

from typing import Final

from citewell.errors import ModelUnavailable, ReadError
from citewell.reading.allowance import allow
from citewell.reading.images import Picture
from citewell.reading.ocr import AUTO, engine, require_pictures
from citewell.reading.pieces import Builder

_MAX_PICTURES: Final = 200
_PICTURE_S: Final = 30.0  # what one picture may take


def read_pictures(builder: Builder, ocr: str = AUTO) -> None:
    """Where nothing that can be seen was added to `builder` but pictures, add the words in them as figures.

    They are read by the engine `ocr` (see `ocr.engine`).

    Raises ReadError no_text when there are pictures and OCR is not installed.
    """
    pictures = builder.silent_pictures()
    recogniser = engine(ocr)
    if not pictures or recogniser is None:
        return
    try:
        require_pictures()
    except ModelUnavailable as error:
        said = f"The file holds no text but what may stand in its pictures ({len(pictures)}). {error}"
        raise ReadError("no_text", said) from error
    from citewell.reading.scan import picture_words

    if len(pictures) > _MAX_PICTURES:
        builder.warn(f"Words were looked for in the first {_MAX_PICTURES:,} of {len(pictures):,} pictures.")
    for asset in pictures[:_MAX_PICTURES]:
        allow(_PICTURE_S)
        text, confidence = picture_words(recogniser, Picture(asset.content, asset.media_type))
        builder.recognise(asset, text, confidence)
