"""The platform of a world: answers a request, or only seems not to. Knows nothing of who asks."""

from collections.abc import Callable
from functools import partial
from random import Random

import orjson

from consumer.core.answer import Answer, Answered, Lost
from tests.simulation.judge import Judge, Place

NOTHING_WRONG = b'{"data":{}}'


class SmsPlatform:
    """Texts people, and tells the judge."""

    def __init__(
        self,
        random: Random,
        judge: Judge,
        *,
        happens: Callable[[str], bool],
        later: Callable[[Callable[[], None], float], None],
    ) -> None:
        self._random = random
        self._judge = judge
        self._happens = happens
        self._later = later
        self.denied_until = 0.0
        """The key is refused until then."""

    def asked(self, places: list[Place], contacts: list[dict[str, str]], time: float) -> Answer:
        """Handle one request; return what its sender will hear."""
        if time < self.denied_until:
            return Answered(status=401, retry_after_seconds=None, body=b"{}")
        if self._happens("throttled"):
            return Answered(status=429, retry_after_seconds=self._random.choice([None, 0.5, 4.0]), body=b"{}")
        if any(contact["customData"].endswith("bad") for contact in contacts):
            return Answered(status=422, retry_after_seconds=None, body=b"{}")
        lost, error = self._happens("answer_lost"), self._happens("server_error")
        if lost or error:
            return self._unknown(places, lost=lost)
        body = NOTHING_WRONG
        if self._happens("item_error"):
            named = self._random.randrange(len(places))
            places = [place for index, place in enumerate(places) if index != named]
            body = orjson.dumps({"data": {"errors": [{"customData": contacts[named]["customData"]}]}})
        self._text(places)
        return Answered(status=200, retry_after_seconds=None, body=body)

    def _unknown(self, places: list[Place], *, lost: bool) -> Answer:
        if self._random.random() < 0.5:
            if lost and self._happens("platform_late"):
                self._later(partial(self._text, places), self._random.choice([0.0, 5.0, 20.0]))
            else:
                self._text(places)
        return Lost(detail="reset") if lost else Answered(status=500, retry_after_seconds=None, body=b"")

    def _text(self, places: list[Place]) -> None:
        for place in places:
            self._judge.texted(place)
