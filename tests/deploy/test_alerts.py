"""The right alert fires, and no other, for what is broken around a real service; and it ends with the trouble."""

import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from tests.deploy.prometheus import Prometheus, Target, prometheus_on
from tests.service.events import event, written
from tests.service.harness import PATIENT, Instance, Stage, stage_on
from tests.support.kafka_proxy import Api, KafkaProxy, What
from tests.support.rules import quickened
from tests.support.rules import rules as rules_of

WINDOW, WAIT, LONG_WAIT = "4s", "1s", "9s"
"""Of the rules in this test: what they look back on, and for how long something is so before an alert fires."""
SECONDS = 40.0
RARE = {"campaign:foreign_claims:increase1h", "campaign:records_lost:increase1h"}
"""Recordings of what no trouble here brings about."""
LATE_SECONDS = 5.2
"""Immediate events are to be accepted within 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that can be broken."""

    kafka: ApacheKafka
    proxy: KafkaProxy
    stage: Stage
    service: Instance
    prometheus: Prometheus


Break = Callable[[Scene], AbstractAsyncContextManager[object]]
"""Breaks something; it is whole again at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is broken, and the alerts that must fire: the first of them meanwhile, all of them until it is over."""

    breaks: Break
    alerts: tuple[str, ...]
    perhaps: frozenset[str] = frozenset()
    """Alerts that may fire as well: whether the platform is mended before the repeats are used up is a matter of speed."""
    contacts: int = 12
    """Of each of two campaigns; more together than an alert about contacts wants to see."""
    priority: str = "normal"


def answers(fault: str, **conditions: float) -> Break:
    """Let the platform answer so."""

    @asynccontextmanager
    async def broken(scene: Scene) -> AsyncIterator[None]:
        await scene.stage.ask.set_faults({"fault": fault, **conditions})
        yield
        await scene.stage.ask.clear_faults()

    return broken


@asynccontextmanager
async def platform_away(scene: Scene) -> AsyncIterator[None]:
    """Let nobody listen at the platform's address."""
    await scene.stage.sandbox.__aexit__(None, None, None)
    yield
    await scene.stage.sandbox.__aenter__()


@asynccontextmanager
async def journal_silent(scene: Scene) -> AsyncIterator[None]:
    """Let the brokers hear nothing of what is appended to the journal."""
    scene.proxy.hold(What.QUESTION, lambda question: question.says(Api.PRODUCE, scene.stage.journal))
    yield
    scene.proxy.release()


@asynccontextmanager
async def results_silent(scene: Scene) -> AsyncIterator[None]:
    """Let the brokers hear nothing of results."""
    scene.proxy.hold(What.QUESTION, lambda question: question.says(Api.PRODUCE, scene.stage.results_topic))
    yield
    scene.proxy.release()


@asynccontextmanager
async def broker_away(scene: Scene) -> AsyncIterator[None]:
    """Let no broker be there."""
    await scene.kafka.kill_broker()
    yield
    await scene.kafka.start_broker()


@asynccontextmanager
async def results_refused(scene: Scene) -> AsyncIterator[None]:
    """Let the results topic take no record without a key: that stops the partition."""
    await scene.stage.topics.alter(scene.stage.results_topic, {"cleanup.policy": "compact"})
    yield
    await scene.stage.topics.alter(scene.stage.results_topic, {"cleanup.policy": "delete"})


@asynccontextmanager
async def frozen(scene: Scene) -> AsyncIterator[None]:
    """Let the whole instance stand still."""
    scene.service.send(signal.SIGSTOP)
    yield
    scene.service.send(signal.SIGCONT)


TROUBLES: Mapping[str, Trouble] = {
    "503": Trouble(breaks=answers("status", status=503), alerts=("CampaignPlatformFailing",)),
    "500": Trouble(
        breaks=answers("status", status=500),
        alerts=("CampaignPlatformFailing", "CampaignUnknownOutcomesRising"),
        perhaps=frozenset({"CampaignPossibleDuplicates"}),
    ),
    "one 500": Trouble(
        breaks=answers("status", status=500, times=1),
        alerts=("CampaignPossibleDuplicates", "CampaignUnknownOutcomesRising"),
    ),
    "slow": Trouble(
        breaks=answers("latency", seconds=LATE_SECONDS), alerts=("CampaignImmediateEventsLate",), priority="immediate"
    ),
    "away": Trouble(breaks=platform_away, alerts=("CampaignPlatformUnreachable",)),
    "401": Trouble(breaks=answers("status", status=401), alerts=("CampaignPlatformRefusesUs",)),
    "404": Trouble(breaks=answers("status", status=404), alerts=("CampaignCampaignRefused",)),
    "partition": Trouble(breaks=results_refused, alerts=("CampaignPartitionStopped",)),
    "journal": Trouble(breaks=journal_silent, alerts=("CampaignJournalUnsure",)),
    "results": Trouble(breaks=results_silent, alerts=("CampaignResultsNotAcknowledged",)),
    "broker": Trouble(breaks=broker_away, alerts=("CampaignBrokersUnreachable",), contacts=0),
    "frozen": Trouble(breaks=frozen, alerts=("CampaignInstanceDown",), contacts=0),
}


async def fired_in(scene: Scene, trouble: Trouble) -> set[str]:
    """Break and mend; every alert that has fired from the beginning until all were silent again."""
    (before,) = await scene.prometheus.query("time()")
    async with trouble.breaks(scene):
        people = [
            event(campaign, person, priority=trouble.priority)
            for campaign in (7, 8)
            for person in range(trouble.contacts)
        ]
        places = await scene.stage.publish([written(one, key=None) for one in people]) if people else []
        await scene.prometheus.until_firing(trouble.alerts[0], within_seconds=SECONDS)
    await scene.stage.results.until(places)
    await scene.prometheus.until_silent(within_seconds=SECONDS)
    (after,) = await scene.prometheus.query("time()")
    span = f"{after.value - before.value:.0f}s"
    fired = await scene.prometheus.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{span}])')
    return {alert.labels["alertname"] for alert in fired}


async def _recorded(prometheus: Prometheus) -> set[str]:
    """Return every recording that has ever had a value."""
    samples = await prometheus.query('count by (__name__) (last_over_time({__name__=~"campaign:.+"}[1h]))')
    return {sample.labels["__name__"] for sample in samples}


async def test_the_right_alert_fires_for_each_trouble_and_ends_with_it(
    breakable: ApacheKafka, proxy: KafkaProxy, tmp_path: Path
) -> None:
    rules = quickened(window=WINDOW, wait=WAIT, long_wait=LONG_WAIT)
    async with stage_on(breakable, tmp_path) as stage:
        settings = {"KAFKA__BOOTSTRAP_SERVERS": proxy.address, "DELIVERY__BREAKER__MIN_REQUESTS": "4"}
        service = await stage.start({**settings, **PATIENT})
        async with prometheus_on(tmp_path, targets=[Target(url=service.url)], rules=[rules]) as prometheus:
            scene = Scene(kafka=breakable, proxy=proxy, stage=stage, service=service, prometheus=prometheus)
            await stage.results.until(await stage.publish([written(event(7, 1))]))
            await prometheus.until('campaign_results_total{status="accepted"} > 0')

            fired = {name: await fired_in(scene, trouble) for name, trouble in TROUBLES.items()}

            certain = {name: names - TROUBLES[name].perhaps for name, names in fired.items()}
            assert certain == {name: set(trouble.alerts) for name, trouble in TROUBLES.items()}
            assert {rule["health"] for rule in await prometheus.rules()} == {"ok"}
            assert await _recorded(prometheus) == {rule["record"] for rule in rules_of() if "record" in rule} - RARE
        assert await service.stop() == 0
