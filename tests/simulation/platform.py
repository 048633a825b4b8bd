"""The platform of a world: answers a request, or only seems not to. Knows nothing of who asks."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from consumer.core.platform.answer import (
    Answer,
    Answered,
    Exchange,
    Lost,
    NoConnectionYet,
    Unreachable,
    Withheld,
    Withholding,
)
from tests.simulation.blows import Blow
from tests.simulation.scenario import Mood

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

UNKNOWN_FATE = (500, 502, 504)
"""Statuses of somebody who may speak for a platform that did send."""

CONNECT_SECONDS = 5.0
PAST_DEADLINE_SECONDS = 0.5
"""How long past a deadline the client waits for a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a sender will hear, and after how many seconds; None where nothing ever comes."""

    answer: Answer
    seconds: float | None


class SmsPlatform:
    """Texts people, and tells the judge."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = world.dice.stream("platform")
        self.denied_until = 0.0
        """The key is refused until then."""
        self.away_until = 0.0
        """No connection is taken until then."""
        self.moods: dict[int, Mood] = dict(world.scenario.moods)
        self._late: list[list[str]] = []

    def turns_away(self, blow: Blow) -> None:
        """Refuse everybody's key for a while, or be not there at all."""
        if blow.kind == "denied":
            self.denied_until = self._world.time + blow.amount
        else:
            self.away_until = self._world.time + 10 * blow.amount

    def connect_seconds(self) -> float | None:
        """Return how long a connection takes, None where there will be none."""
        if self._world.dice.strikes("unreachable") or self._world.time < self.away_until:
            return None
        if self._world.dice.strikes("connect_slow"):
            return self._random.choice((0.5, 1.1, 3.0))
        return 0.001 * self._random.random()

    def asked(self, body: dict[str, Any]) -> Reply:
        """Handle one request."""
        world, dice = self._world, self._world.dice
        contacts: list[dict[str, Any]] = body["contacts"]
        references: list[str] = [contact["customData"] for contact in contacts]
        seconds = 0.005 + 0.1 * self._random.random()
        if dice.strikes("slow"):
            seconds += self._random.choice((0.5, 1.9, 6.0))
        refusal = self._refusal(body["campaignId"], seconds)
        if refusal is not None:
            return refusal
        # In the end nobody is refused: where nothing but refusals fills a buffer, the first 2xx is waited for in vain.
        if not world.calm and any(reference.endswith("bad") for reference in references):
            return _reply(self._random.choice((400, 422)), seconds)
        lost, hangs, failed = dice.strikes("answer_lost"), dice.strikes("hang"), dice.strikes("server_error")
        if lost or hangs or failed:
            self._perhaps_text(references, seconds)
            if lost or hangs:
                return Reply(answer=Lost(detail="reset"), seconds=None if hangs else seconds)
            return _reply(self._random.choice(UNKNOWN_FATE), seconds)
        answer = b'{"data":{}}'
        if dice.strikes("item_error"):
            named = references.pop(self._random.randrange(len(references)))
            answer = orjson.dumps({"data": {"errors": [{"customData": named, "message": "no such number"}]}})
        elif dice.strikes("unreadable"):
            answer = self._random.choice((b"<html>", b"{", b"[]"))
        world.after(seconds / 2, partial(self._text, references))
        return Reply(answer=Answered(status=200, retry_after_seconds=None, body=answer), seconds=seconds)

    def _refusal(self, campaign: int, seconds: float) -> Reply | None:
        """Return an answer that turns away whoever asks, None where it hears him out."""
        dice, choice, mood = self._world.dice, self._random.choice, self.moods.get(campaign)
        if self._world.time < self.denied_until:
            return _reply(choice((401, 403, 302)), seconds)
        if mood is not None:
            statuses = {"denied": (401, 402, 403, 407, 302), "unknown": (404,), "slowed": (429,)}
            return _reply(choice(statuses[mood]), seconds, retry_after_seconds=choice((None, 0.5, 20.0, 90.0)))
        if dice.strikes("throttled"):
            return _reply(429, seconds, retry_after_seconds=choice((None, 0.5, 3.0)))
        if dice.strikes("unavailable"):
            return _reply(choice((503, 408, 421, 425)), seconds, retry_after_seconds=choice((None, None, 2.0)))
        return None

    def _perhaps_text(self, references: list[str], seconds: float) -> None:
        if self._random.random() < 0.4:
            return
        late = self._random.choice((0.5, 5.0, 20.0)) if self._world.dice.strikes("platform_late") else 0.0
        self._late.append(references)
        self._world.after(late + seconds / 2, partial(self._act, references))

    def _act(self, references: list[str]) -> None:
        if references in self._late:
            self._late.remove(references)
            self._text(references)

    def act_on_everything(self) -> None:
        """Do what was to be done only later."""
        while self._late:
            self._act(self._late[0])

    def _text(self, references: list[str]) -> None:
        self._world.note("platform", "texts", references)
        for reference in references:
            self._world.judge.texted(reference)


def _reply(status: int, seconds: float, *, retry_after_seconds: float | None = None) -> Reply:
    return Reply(answer=Answered(status=status, retry_after_seconds=retry_after_seconds, body=b"{}"), seconds=seconds)


class SimulatedPlatform:
    """One process's way to the platform."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._world = process.world

    async def post(
        self, body: bytes, *, last_look: Callable[[], Withholding | None], expires_in_seconds: float | None
    ) -> Exchange:
        """Make one attempt."""
        process, world = self._process, self._world
        connect = world.platform.connect_seconds()
        seconds = world.dice.stream("platform").choice((0.001, CONNECT_SECONDS)) if connect is None else connect
        if expires_in_seconds is not None and expires_in_seconds + PAST_DEADLINE_SECONDS < seconds:
            seconds = max(0.0, expires_in_seconds + PAST_DEADLINE_SECONDS)
            await process.waits(seconds)
            world.reached["no connection yet"] += 1
            return self._over(NoConnectionYet(waited_seconds=seconds), None)
        await process.waits(seconds)
        if connect is None:
            return self._over(Unreachable(detail="refused"), None)
        withheld = last_look()
        if withheld is not None:
            world.reached[f"withheld {withheld.name}"] += 1
            return self._over(Withheld(why=withheld), None)
        started = process.now()
        request: dict[str, Any] = orjson.loads(body)
        if process.alive:
            world.note(process.name, "posts", request)
            world.judge.request_started(process.name, request, started.wall, world.time)
        reply = world.platform.asked(request)
        answer = await self._answer(reply)
        erred = isinstance(answer, Answered) and answer.status in UNKNOWN_FATE
        if erred or isinstance(answer, Lost):
            world.judge.unknown(process.name, request, erred=erred)
        world.note(process.name, "hears", answer)
        world.reached[f"answer {getattr(answer, 'status', 'lost')}"] += 1
        return self._over(answer, started.wall)

    async def _answer(self, reply: Reply) -> Answer:
        """Wait for it, as long as the client does by its own clock."""
        process = self._process
        answer: asyncio.Future[Answer] = process.loop.create_future()
        if reply.seconds is not None:
            self._world.after(reply.seconds, partial(process.answer, answer, reply.answer))
        try:
            async with asyncio.timeout(self._world.scenario.api_seconds):
                return await answer
        except TimeoutError:
            return Lost(detail="no complete head in time")

    def _over(self, answer: Answer, started_at: Any) -> Exchange:
        return Exchange(answer=answer, started_at=started_at, finished_at=self._process.now().wall)

    async def close(self) -> None:
        pass
