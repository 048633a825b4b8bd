"""`campaign-consumer check`: prints the configuration and what is wrong with it. Texts nobody, changes nothing."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import click

from consumer.cli.main import Failure, config_option, load_settings, platform_proxy

if TYPE_CHECKING:
    from config import Settings
    from config.proxy import Proxy
    from consumer.core.platform.answer import Answer
    from consumer.edge.platform.client import KeyCheck
    from consumer.inspection.view import PartitionView

LABEL_COLUMNS = 14


@click.command(short_help="Check the configuration; with --connect brokers, topics and platform, too.")
@config_option
@click.option("--connect", is_flag=True, help="Reach brokers, topics and platform as well. Nobody is texted.")
def command(*, config_file: Path | None, connect: bool) -> None:
    """Check the configuration and print what would be used; secrets are not shown.

    Every mistake is one line on stderr: the setting, its value, where it comes from, what to do. Exit code 2.

    With --connect it also asks the brokers for the topics and their settings, and the platform whether it takes the
    server key, by a request without contacts. What is in the way is one line each on stderr. Exit code 1.
    """
    settings = load_settings(config_file)
    from config.contradictions import notes

    proxy = platform_proxy(settings)
    for label, text in summary(settings, proxy):
        click.echo(f"{label:<{LABEL_COLUMNS}}{text}")
    for note in notes(settings):
        click.echo(f"note: {note}")
    if connect:
        # Kafka's client logs its errors, too; here each is one line of ours.
        logging.getLogger("aiokafka").disabled = True
        obstacles = asyncio.run(_reach(settings, proxy))
        if obstacles:
            raise Failure("\n".join(obstacles))


def summary(settings: "Settings", proxy: "Proxy | None") -> Iterator[tuple[str, str]]:
    """Yield the configuration in a few lines: a label and a text each."""
    from config.durations import spell_duration, spell_size

    kafka, api, window, delivery = settings.kafka, settings.api, settings.window, settings.delivery
    yield "brokers", f"{', '.join(kafka.bootstrap_servers)} ({kafka.security_protocol}), group {kafka.group_id}"
    yield "events", ", ".join(kafka.events_topics)
    if kafka.urgent_topics:
        yield "urgent events", ", ".join(kafka.urgent_topics)
    yield "journal", ", ".join(settings.journal_topic(topic) for topic in kafka.all_events_topics)
    yield "results", f"{kafka.results_topic}; dead letters: {kafka.dead_letter_topic}"
    yield "control", kafka.control_topic_name
    by = "" if proxy is None else f" by {proxy}"
    yield (
        "platform",
        f"{_plain(api.url)}{by}, an answer within {spell_duration(api.timeout_seconds)}; server key is set",
    )
    yield (
        "window",
        (
            f"{spell_duration(window.duration_seconds)}, at most {window.max_contacts} contacts or "
            f"{spell_size(window.max_bytes)}"
        ),
    )
    yield (
        "delivery",
        (
            f"{delivery.max_concurrency} requests at once, {delivery.max_concurrency_per_campaign} of one campaign; "
            f"{delivery.retry.max_attempts} attempts within {spell_duration(delivery.retry.max_age_seconds)}; "
            f"unknown outcomes: {delivery.on_unknown_outcome}"
        ),
    )
    yield (
        "buffer",
        (
            f"{settings.buffer.max_events} events or {spell_size(settings.buffer.max_bytes)}; "
            f"shutdown within {spell_duration(settings.shutdown.grace_seconds)}"
        ),
    )
    for campaign_id in sorted(settings.campaigns):
        yield f"campaign {campaign_id}", ", ".join(_own(settings, campaign_id)) or "as all others"
    yield "http", f"{settings.http.host}:{settings.http.port}"


def _own(settings: "Settings", campaign_id: int) -> Iterator[str]:
    """Yield what is set for one campaign alone, as setting=value."""
    from config.catalogue import DELIMITER, leaf_of, set_in

    above = ("campaigns", str(campaign_id))
    for path, value in set_in(settings.campaigns[campaign_id], above):
        found = leaf_of(path)
        assert found is not None, path
        yield f"{DELIMITER.join(path[len(above) :]).upper()}={found[1].spell(value)}"


async def _reach(settings: "Settings", proxy: "Proxy | None") -> list[str]:
    """Check brokers and platform, both at once; return the problems, a line each."""
    async with asyncio.TaskGroup() as tasks:
        kafka = tasks.create_task(_reach_kafka(settings), name="kafka")
        platform = tasks.create_task(_reach_platform(settings, proxy), name="platform")
    return [*kafka.result(), *platform.result()]


async def _reach_kafka(settings: "Settings") -> list[str]:
    from consumer.cli.wiring import expectations, kafka_connection
    from consumer.edge.kafka.topic_findings import Missing
    from consumer.edge.kafka.topics import examine

    obstacles: list[str] = []
    missing = False
    for finding in await examine(kafka_connection(settings), expectations(settings)):
        if isinstance(finding, Missing) and settings.kafka.create_topics:
            missing = True
            click.echo(f"note: the {finding.role.value} topic {finding.topic!r} does not exist yet: `run` creates it")
        elif finding.is_note:
            click.echo(f"note: {finding}")
        else:
            obstacles.append(str(finding))
    if not obstacles:
        click.echo("ok: the brokers answer, and the topics are fit")
        if not missing:
            obstacles += await _look_at_journals(settings)
    return obstacles


async def _look_at_journals(settings: "Settings") -> list[str]:
    """Return the partitions that would not start, and why, by their journals; print the others' remarks as notes."""
    from consumer.cli.inspect import inspect_tools, look
    from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError
    from consumer.inspection.report import remarks
    from consumer.inspection.view import State

    obstacles: list[str] = []
    views: list[PartitionView] = []
    try:
        async with inspect_tools(settings.kafka) as tools:
            views = await look(tools)
    except* (KafkaRefusedError, KafkaUnreachableError) as group:
        obstacles += [f"the journals cannot be read: {error}" for error in group.exceptions]
    for view in views:
        for remark in remarks(view):
            if view.state is State.STOPPED:
                obstacles.append(remark)
            else:
                click.echo(f"note: {remark}")
    if not obstacles:
        click.echo("ok: the journals belong to our group, or to none yet")
    return obstacles


async def _reach_platform(settings: "Settings", proxy: "Proxy | None") -> list[str]:
    from consumer.cli.wiring import platform_tls
    from consumer.edge.clock import SystemClock
    from consumer.edge.platform.client import PlatformClient

    client = PlatformClient(
        url=settings.api.url,
        server_key=settings.api.server_key,
        timeout_seconds=settings.api.timeout_seconds,
        connect_timeout_seconds=settings.api.connect_timeout_seconds,
        keep_alive_seconds=settings.api.keep_alive_seconds,
        max_connections=1,
        ssl_context=platform_tls(settings),
        proxy=proxy,
        clock=SystemClock(),
        on_unexpected_error=lambda _error: None,  # the answer's detail names the error
    )
    try:
        obstacle = _no_way_to_platform(settings, await client.ask_status())
        if obstacle is None:
            obstacle = _not_let_in(settings, await client.ask_key())
    finally:
        await client.close()
    if obstacle is not None:
        return [obstacle]
    click.echo("ok: the platform answers and takes the server key")
    return []


def _no_way_to_platform(settings: "Settings", status: "Answer") -> str | None:
    """Return why the platform cannot be reached, None if it has answered anything."""
    from consumer.core.platform.answer import Answered

    if isinstance(status, Answered):
        return None
    parts = urlsplit(settings.api.url)
    return (
        f"CAMPAIGN_API__URL={_plain(settings.api.url)}: {parts.netloc} cannot be reached ({_detail(status)}); "
        "check the region, the host and the way there from this machine"
    )


def _not_let_in(settings: "Settings", key: "KeyCheck") -> str | None:
    """Return why the platform would refuse our sends, None if it would not."""
    from consumer.core.platform.answer import Answered
    from consumer.edge.platform.client import KeyVerdict

    url = f"CAMPAIGN_API__URL={_plain(settings.api.url)}"
    said = f"answered {key.answer.status}" if isinstance(key.answer, Answered) else _detail(key.answer)
    match key.verdict:
        case KeyVerdict.FINE:
            return None
        case KeyVerdict.REFUSED:
            return (
                f"CAMPAIGN_API__SERVER_KEY: refused, the platform {said}; check the key, the region in "
                "CAMPAIGN_API__URL, and the client addresses and role that the key is bound to"
            )
        case KeyVerdict.WRONG_URL:
            return f"{url}: not the endpoint, the platform {said}; it must be the whole URL, as https://.../v2/sms/send/list"
        case KeyVerdict.UNPAID:
            return f"CAMPAIGN_API__SERVER_KEY: the platform {said}; the account's credit is used up"
        case KeyVerdict.PROXY_REFUSES:
            return (
                f"{url}: a proxy on the way {said}; check the user and password in CAMPAIGN_API__PROXY, or HTTPS_PROXY"
            )
        case KeyVerdict.UNCLEAR:
            return f"{url}: nothing is known about the server key, the platform {said}; try again later"


def _detail(answer: "Answer") -> str:
    """Return the client's description of why there is no answer."""
    from consumer.core.platform.answer import Lost, Unreachable

    return answer.detail if isinstance(answer, (Lost, Unreachable)) else "no answer"


def _plain(url: str) -> str:
    """Return a URL without its query, which may hold secrets."""
    return urlunsplit(urlsplit(url)._replace(query=""))
