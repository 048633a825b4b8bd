"""`kill -9` at every step of a send's way, and again and again under load: what is known stays known."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.arithmetic import RecordPlace
from consumer.demo.processes import free_port
from tests.chaos.journal import undecided, until_decided
from tests.chaos.judge import judge
from tests.chaos.load import CONTACTS, RESEND, SEAT, SETTINGS, SLOTS, Load, events
from tests.chaos.profile import KILLS
from tests.service.harness import Stage, stage_on
from tests.service.results import Result
from tests.support.kafka_proxy import Api, KafkaProxy, Question, What

FEW = 40
STEP_SECONDS = 30.0

HELD = 5 * SLOTS * CONTACTS
"""Events in hand at each kill, at least: of every five, at most one may have a slot."""
BACKLOG = 3 * HELD
"""Records without a result at each start: some 400 are settled before the kill, the rest outlasts a slow look at it."""
SLOW = {"fault": "latency", "seconds": [0.1, 0.3]}
"""Not more than 800 contacts a second, however fast the machine is; and a request is out most of the time."""


async def at_once(_places: list[RecordPlace]) -> None:
    """Wait for nothing more."""


class Victim:
    """One instance after another on one stage, behind the proxy, each killed at a step of the test's choice."""

    def __init__(self, stage: Stage, proxy: KafkaProxy) -> None:
        self.stage = stage
        self._proxy = proxy
        self._settings = {**SETTINGS, **SEAT, "KAFKA__BOOTSTRAP_SERVERS": proxy.address}

    async def kill_with_open_windows(self) -> list[RecordPlace]:
        """Publish a few events to an instance whose windows stay open, and kill it."""
        instance = await self.stage.start({**self._settings, "WINDOW__DURATION": "60s", "WINDOW__MAX_CONTACTS": "500"})
        places = await self.stage.publish(events(FEW, partitions=1))
        await instance.until_holds(FEW)
        await instance.kill()
        return places

    async def kill_at(
        self,
        what: What,
        matches: Callable[[Question], bool],
        *,
        when: Callable[[list[RecordPlace]], Awaitable[object]] = at_once,
    ) -> list[RecordPlace]:
        """Publish a few events to the running instance, and kill it when an exchange is held, and `when` returns."""
        hold = self._proxy.hold(what, matches)
        places = await self.stage.publish(events(FEW, partitions=1))
        async with asyncio.timeout(STEP_SECONDS):
            await hold.struck.wait()
        await when(places)
        await self.stage.instances[-1].kill()
        await self._proxy.cut()
        return places

    async def results_of_successor(self, places: list[RecordPlace]) -> list[Result]:
        """Start an instance where there is none, and return what becomes of these records."""
        await self.stage.start(self._settings)
        return await self.stage.results.until(places)


def split(results: list[Result]) -> tuple[list[Result], list[Result]]:
    """The results of campaigns that repeat what is unknown, and of those that do not."""
    repeating = [result for result in results if result["campaignId"] in RESEND]
    return repeating, [result for result in results if result["campaignId"] not in RESEND]


def assert_all_sent_once(results: list[Result]) -> None:
    assert {(result["status"], result["attempts"], result["possibleDuplicate"]) for result in results} == {
        ("accepted", 1, False)
    }


async def test_kill_9_at_every_step_is_known_to_the_successor(
    breakable: ApacheKafka, proxy: KafkaProxy, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path) as stage:
        stage.surroundings["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"  # nobody collects there
        victim = Victim(stage, proxy)

        places = await victim.kill_with_open_windows()
        assert not await undecided(stage)
        assert_all_sent_once(await victim.results_of_successor(places))

        def decided(places: list[RecordPlace]) -> Awaitable[None]:
            return until_decided(stage, places)

        async def texted(places: list[RecordPlace]) -> None:
            await stage.ask.wait(accepted=before + len(await undecided(stage) & set(places)))

        # the intents stand in the journal, and the service does not know
        places = await victim.kill_at(What.ANSWER, lambda question: question.says(Api.PRODUCE, '"kind":"intent"'))
        await assert_unknown_ones_alone_are_doubted(victim, places, texted_before=0)

        # the platform has answered, and nobody else will ever hear of it
        before = (await stage.ask.summary()).accepted
        places = await victim.kill_at(
            What.QUESTION, lambda question: question.says(Api.PRODUCE, '"kind":"outcome"'), when=texted
        )
        await assert_unknown_ones_alone_are_doubted(victim, places, texted_before=1)

        def results(question: Question) -> bool:
            return question.says(Api.PRODUCE, stage.results_topic)

        # the outcomes stand in the journal, the results nowhere
        places = await victim.kill_at(What.QUESTION, results, when=decided)
        assert_all_sent_once(await victim.results_of_successor(places))

        # the results are published, and the service does not know: published again, the same
        places = await victim.kill_at(What.ANSWER, results, when=decided)
        await assert_published_once_more(victim, places)

        # all is done but the commit
        places = await victim.kill_at(
            What.QUESTION, lambda question: question.api == Api.OFFSET_COMMIT, when=stage.results.until
        )
        before = (await stage.ask.summary()).accepted
        assert_all_sent_once(await victim.results_of_successor(places))
        await stage.results.until(await stage.publish(events(FEW, partitions=1)))
        assert (await stage.ask.summary()).accepted == before + FEW, "the successor works, and on nothing else"

        await judge(stage)


async def assert_published_once_more(victim: Victim, places: list[RecordPlace]) -> None:
    """What stands in the results topic at the kill is published again by the successor."""
    results = victim.stage.results
    await results.catch_up()
    published = results.at.keys() & set(places)
    assert published
    assert all(results.headers[place] for place in published), "the trace of each record goes on"
    assert_all_sent_once(await victim.results_of_successor(places))
    await results.until_again(published)


async def assert_unknown_ones_alone_are_doubted(
    victim: Victim, places: list[RecordPlace], *, texted_before: int
) -> None:
    """Repeated and marked, or in doubt, is exactly who stands in an open attempt."""
    stage = victim.stage
    unknown = await undecided(stage) & set(places)
    assert unknown
    repeating, holding = split(await victim.results_of_successor(places))
    assert {place_of(result) for result in repeating if result["possibleDuplicate"]} == {
        place for place in unknown if stage.results.at[place]["campaignId"] in RESEND
    }
    assert {place_of(result) for result in holding if result["status"] == "in_doubt"} == {
        place for place in unknown if stage.results.at[place]["campaignId"] not in RESEND
    }
    texts = await stage.texts()
    for place in unknown:
        result = stage.results.at[place]
        assert texts[result["eventId"]] == texted_before + (result["campaignId"] in RESEND)


def place_of(result: Result) -> RecordPlace:
    return RecordPlace(result["source"]["partition"], result["source"]["offset"])


async def keep_a_backlog(stage: Stage) -> None:
    """Publish until so many records have no result that the next instance has plenty in hand whenever it is killed.

    Nobody is at work: how many wait does not depend on how fast anybody is.
    """
    await stage.results.catch_up()
    waiting = len(stage.published) - len(stage.results.at)
    await stage.publish(events(max(0, BACKLOG - waiting), partitions=stage.partitions))


async def kill_at_work(stage: Stage, *, settled: int) -> int:
    """Kill the instance that runs, once it has settled so many; return how many it had in hand, with requests out."""
    instance = stage.instances[-1]
    await instance.until_settled(settled)
    held = await instance.until_holds_at_least(HELD)
    await stage.ask.wait(in_flight=SLOTS // 2)
    await instance.kill()
    return held


async def test_kills_in_a_row_under_load_double_nobody_unmarked_and_mark_hardly_anybody_in_vain(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    dice = random.Random(20)
    async with stage_on(breakable, tmp_path, partitions=3) as stage:
        await stage.ask.set_faults(SLOW)
        held = 0
        async with Load(stage, per_second=100):
            for _ in range(KILLS):
                await keep_a_backlog(stage)
                await stage.start({**SETTINGS, **SEAT})
                held += await kill_at_work(stage, settled=dice.randrange(1, 400))
        await stage.ask.clear_faults()
        await stage.start({**SETTINGS, **SEAT})
        await stage.results.until(stage.published)

        account = await judge(stage)
        texts = await stage.texts()
        unneeded = [
            result
            for result in stage.results.at.values()
            if result["possibleDuplicate"] and texts[result["eventId"]] == 1
        ]
        doubted = [
            result
            for result in stage.results.at.values()
            if result["status"] == "in_doubt" and not texts[result["eventId"]]
        ]
        assert account.repeats > 0, "requests were out at the kills"
        # An intent may be proven and its request not begun: whoever has no slot is never among these.
        assert len(unneeded) + len(doubted) <= KILLS * SLOTS * CONTACTS < held / 4
