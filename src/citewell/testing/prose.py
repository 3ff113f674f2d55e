"""Made-up English: words, sentences, paragraphs and titles by chance, for samples of which all is known."""

from __future__ import annotations

import random
from typing import Final

_WORDS: Final = """
    the council of harbour river market engine letter winter village station garden doctor window summer bridge
    paper morning question answer number system policy travel invoice contract server volume report measure history
    school would could found under against between before after through because while where which every other small
    large early later public private common simple open closed moved built wrote asked showed kept took made gave
""".split()  # noqa: SIM905 (a list of them would be as many lines)


class Prose:
    """Text made with `chance`; the same for the same state of it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def words(self, least: int, most: int) -> str:
        """From `least` to `most` words, in lower case."""
        return " ".join(self.chance.choices(_WORDS, k=self.chance.randint(least, most)))

    def sentence(self) -> str:
        return self.words(7, 20).capitalize() + self.chance.choice([".", ".", ".", "?"])

    def prose(self, least: int = 2, most: int = 6) -> str:
        """A paragraph of so many sentences."""
        return " ".join(self.sentence() for _ in range(self.chance.randint(least, most)))

    def title(self) -> str:
        return self.words(4, 9).capitalize()
