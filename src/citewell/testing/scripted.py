"""Models that give the answers they were told to give, and remember what they were asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from citewell.errors import ModelUnavailable
from citewell.protocols import Generation
from citewell.types import Usage


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: both texts exactly as they were sent."""

    system: str
    prompt: str
    max_tokens: int


class ScriptedDescriber:
    """Describer that plays a script: each call takes the next answer; an exception among them is raised.

    Raises ModelUnavailable when the script is over. `seen` holds the pictures it was shown, with their media types.
    """

    def __init__(self, answers: Sequence[str | Exception], *, identity: str = "scripted") -> None:
        self._answers = list(answers)
        self.identity = identity
        self.seen: list[tuple[bytes, str]] = []

    async def describe(self, image: bytes, media_type: str) -> str:
        """The next answer of the script."""
        self.seen.append((image, media_type))
        if len(self.seen) > len(self._answers):
            raise ModelUnavailable(
                f"The script has {len(self._answers)} answers and was shown one more picture.", attempts=1
            )
        answer = self._answers[len(self.seen) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


class ScriptedGenerator:
    """Generator that plays a script: each call takes the next answer; an exception among them is raised.

    A callable in place of an answer gets the system text and the prompt, so that a script can obey what it reads.
    Raises ModelUnavailable when the script is over or an answer is empty, as a real generator does.
    """

    def __init__(self, answers: Sequence[str | Exception | Callable[[str, str], str]]) -> None:
        self._answers = list(answers)
        self.asked: list[Asked] = []

    @property
    def identity(self) -> str:
        return "scripted"

    @property
    def prompts(self) -> list[str]:
        """The prompts so far, without the system texts."""
        return [one.prompt for one in self.asked]

    async def generate(self, system: str, prompt: str, *, max_tokens: int) -> Generation:
        """The next answer of the script; its tokens are counted as words."""
        self.asked.append(Asked(system, prompt, max_tokens))
        if len(self.asked) > len(self._answers):
            raise ModelUnavailable(
                f"The script has {len(self._answers)} answers and was asked for one more.", attempts=1
            )
        answer = self._answers[len(self.asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        text = answer if isinstance(answer, str) else answer(system, prompt)
        if not text.strip():
            raise ModelUnavailable("The scripted answer is empty.", attempts=1, last_error="empty answer")
        used = Usage(len(system.split()) + len(prompt.split()), len(text.split()), 1)
        return Generation(text, "scripted", used)
