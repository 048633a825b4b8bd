"""The real service with the real client before the sandbox platform, in one process. Kafka alone is made up.

Time is real, and the service's clock may be put forward: what waits for minutes is tested in milliseconds.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from pydantic import SecretStr

from config.proxy import Proxy
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.sending.delivery import RandomSource
from consumer.core.terms import Instant, Now, Ticks
from consumer.edge.clock import SystemClock, new_send_id
from consumer.edge.platform.client import PlatformClient
from consumer.sandbox.facts import RequestSeen
from consumer.sandbox.faults import parse_faults
from consumer.sandbox.server import Sandbox
from consumer.service.facts import Facts
from consumer.service.service import MemberIdentity, Service, World
from tests.service.events import urgent
from tests.sockets.topics import ControlTopic, Events, Journal, ResultsTopic

FIRST_CONTACT = 1_000
"""The campaign of the event that brings the first 2xx."""

SOON = CampaignPolicy(window_seconds=0.0, backoff_base_seconds=0.01, backoff_max_seconds=0.02)
"""Waits that suit tests: whatever is tried again, is tried again soon."""

Result = dict[str, Any]


class ForwardClock:
    """The system's clocks, put forward by so many seconds."""

    def __init__(self) -> None:
        self._system = SystemClock()
        self.ahead_seconds = 0.0

    def now(self) -> Now:
        now = self._system.now()
        return Now(Instant(now.wall + self.ahead_seconds), Ticks(now.steady + self.ahead_seconds))


class Silence:
    """Hears every fact that the service tells, and keeps none."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return _hear_nothing


def _hear_nothing(*_args: object, **_words: object) -> None:
    pass


class Stage:
    """A running service before a running sandbox."""

    def __init__(
        self,
        sandbox: Sandbox,
        policies: Policies,
        *,
        url: str,
        timeout_seconds: float,
        tls: ssl.SSLContext | None,
        proxy: Proxy | None,
    ) -> None:
        self.sandbox = sandbox
        self.clock = ForwardClock()
        self.events, self.results = Events(partitions=1), ResultsTopic()
        self.service = Service(
            identity=MemberIdentity(
                group="g", process="p", version="0", results_topic="results", dead_letter_topic="dead-letters"
            ),
            policies=policies,
            world=World(
                consumer=self.events,
                journal=Journal(),
                control=ControlTopic(),
                results=self.results,
                platform=PlatformClient(
                    url=url,
                    server_key=SecretStr(sandbox.server_key),
                    timeout_seconds=timeout_seconds,
                    connect_timeout_seconds=timeout_seconds,
                    keep_alive_seconds=2.0,
                    max_connections=policies.max_concurrency,
                    clock=self.clock,
                    on_unexpected_error=_fail,
                    ssl_context=tls,
                    proxy=proxy,
                ),
                clock=self.clock,
                random_source=RandomSource(jitter=lambda: 1.0, send_id=new_send_id),
                facts=cast("Facts", Silence()),
            ),
            grace_seconds=20.0,
            api_timeout_seconds=timeout_seconds,
        )
        self.pipeline = self.service.pipeline

    def publish(self, documents: Sequence[dict[str, object]]) -> list[tuple[int, int]]:
        """Let events come; return where they stand."""
        return self.events.publish(documents, timestamp_ms=int(self.clock.now().wall * 1000))

    async def until(self, places: Sequence[tuple[int, int]], *, within_seconds: float = 10.0) -> list[Result]:
        """Return the results of these records, once all of them have one."""
        try:
            async with asyncio.timeout(within_seconds):
                while not self.results.at.keys() >= set(places):
                    self.results.grown.clear()
                    await self.results.grown.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(set(places) - self.results.at.keys())} records have no result") from None
        return [self.results.at[place] for place in places]

    async def sent(self, *documents: dict[str, object]) -> list[Result]:
        """Let events come, and return their results."""
        return await self.until(self.publish(documents))

    async def forward(self, seconds: float) -> None:
        """Let time pass at once; the control topic is as it was, and the service has had its turn when this returns."""
        self.clock.ahead_seconds += seconds
        await self.turn()

    async def turn(self) -> None:
        """Return after a turn of the service that knows of everything that has happened until now."""
        inbox = self.service._inbox  # noqa: SLF001 - a fact that brings a turn, and says nothing
        for _ in range(2):  # the second is applied after the turn that the first one brought
            await inbox.ask(lambda now: self.pipeline.stops.heard([], now.steady, now))

    async def until_read(self, places: Sequence[tuple[int, int]]) -> None:
        """Return once the service has read these events."""
        last = max(offset for _, offset in places)

        def is_read() -> bool:
            return any(lane.started and lane.watermark.position > last for lane in self.pipeline.lanes.values())

        assert await self.service.engine.until(is_read, seconds=10.0)

    async def until_nothing_is_out(self) -> None:
        """Return once no request is out, and none is about to be."""
        assert await self.service.engine.until(lambda: not self.pipeline.delivery.any_out, seconds=10.0)

    # ---------------------------------------------------------------- the platform

    def answer(self, *faults: Mapping[str, object]) -> None:
        """Let the platform answer so from now on; nothing given: as it should."""
        self.sandbox.platform.faults.disarm()
        self.sandbox.platform.faults.arm(parse_faults(list(faults)))

    def seen(self, campaign: int) -> list[RequestSeen]:
        """Return the requests of a campaign that the platform has seen."""
        return [one for one in self.sandbox.platform.records.requests if one.campaign_id == campaign]

    def texts(self, campaign: int) -> Counter[str]:
        """Return how often the platform texted each reference of a campaign."""
        requests = self.sandbox.platform.records.accepted_contacts(campaign_id=campaign)
        return Counter(contact.reference or "" for contacts in requests for contact in contacts)

    async def until_asked(self, campaign: int, *, times: int = 1) -> None:
        """Return once a campaign has had so many answers, and the service has acted on them."""

        def is_done() -> bool:
            ended = [one for one in self.seen(campaign) if one.ended_at is not None]
            return len(ended) >= times and not self.pipeline.queue.in_flight_by_campaign().get(campaign)

        assert await self.service.engine.until(is_done, seconds=10.0), f"campaign {campaign} was not asked so often"


def _fail(error: Exception) -> None:
    raise AssertionError("the client met what it did not expect") from error


@asynccontextmanager
async def stage(
    policies: Policies | None = None,
    *,
    url: str | None = None,
    timeout_seconds: float = 5.0,
    contacted: bool = True,
    tls: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
) -> AsyncIterator[Stage]:
    """A service that has had its first 2xx, unless it is not to be `contacted`; `url` is the sandbox's by default."""
    policies = policies or Policies(default=SOON)
    async with Sandbox() as sandbox, asyncio.TaskGroup() as tasks:
        url = url or sandbox.url
        running = Stage(sandbox, policies, url=url, timeout_seconds=timeout_seconds, tls=tls, proxy=proxy)
        service = tasks.create_task(running.service.run(asyncio.Event()))
        if contacted:
            (first,) = await running.sent(urgent(FIRST_CONTACT, 1))
            assert first["status"] == "accepted"
        yield running
        service.cancel()
