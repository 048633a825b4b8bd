"""The topics that the service needs: checks their settings, and creates missing ones. Reads no record.

Never changes a topic that exists, except that a journal may be given more partitions.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.metadata import MetadataRequest

from consumer.core.journal.ledger import MAX_APPEND_BYTES
from consumer.edge.kafka.clients import client_of, close
from consumer.edge.kafka.connection import (
    REFUSALS,
    KafkaConnection,
    KafkaRefusedError,
    KafkaUnreachableError,
    reach,
    refused,
    words,
)
from consumer.edge.kafka.topic_findings import (
    COPIES,
    COPIES_IN_SYNC,
    DAY_MS,
    JOURNAL_RETENTION_MS,
    RESULT_BYTES,
    USUAL_BYTES,
    AccessRefused,
    BrokersUnreachable,
    Compacted,
    CutsMessages,
    FewCopiesInSync,
    KeysWanted,
    ManyPartitions,
    Missing,
    NotCompacted,
    SettingsUnseen,
    ShortRetention,
    TakesTooLittle,
    TooFewPartitions,
    TopicFinding,
    TopicRole,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ASK_SECONDS: Final = 15.0
CREATE_SECONDS: Final = 30.0
ASK_AGAIN_SECONDS: Final = 0.1


CONTROL_PARTITIONS: Final = 1
CONTROL_HISTORY_MS: Final = 7 * DAY_MS
"""Of a control topic that we make: who has held and released what stays to be read for so long before it is compacted."""

EVENTS_PARTITIONS: Final = 6
"""Partitions of an events topic that we create: enough for a try-out, and for some instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """The topics of one service."""

    journals: Mapping[str, str]
    """Each events topic's journal."""
    results: str
    dead_letter: str
    control: str
    urgent: frozenset[str] = frozenset()
    """Those of the events topics that are urgent."""

    def topics(self) -> Iterator[tuple[str, TopicRole]]:
        """Yield every topic and what it is for."""
        for events, journal in self.journals.items():
            yield events, TopicRole.URGENT_EVENTS if events in self.urgent else TopicRole.EVENTS
            yield journal, TopicRole.JOURNAL
        yield self.results, TopicRole.RESULTS
        yield self.dead_letter, TopicRole.DEAD_LETTER
        yield self.control, TopicRole.CONTROL


class TopicCreationError(Exception):
    """A topic could not be created. The message is one line and says what to do."""


async def examine(connection: KafkaConnection, expectations: Expectations) -> list[TopicFinding]:
    """Check brokers and topics; return all problems, and notes. Empty: everything is fit."""
    try:
        await reach(connection)
        async with asyncio.timeout(ASK_SECONDS), _admin(connection) as admin:
            return await _examine(admin, expectations)
    except KafkaRefusedError as error:
        return [AccessRefused(words=str(error))]
    except KafkaUnreachableError as error:
        return [BrokersUnreachable(words=str(error))]
    except REFUSALS as error:
        return [AccessRefused(words=str(refused(error, connection)))]
    except (KafkaError, OSError, TimeoutError) as error:
        return [
            BrokersUnreachable(words=f"the brokers at {connection} do not answer questions ({words(error)}): try again")
        ]


async def create_topics(
    connection: KafkaConnection, expectations: Expectations, *, events_partitions: int = EVENTS_PARTITIONS
) -> list[str]:
    """Create missing topics, and return their names once every partition has a leader.

    A journal gets as many partitions as its events topic, results and dead letters as many as the largest, the control
    topic one; events topics get `events_partitions`. What exists stays as it is.

    Raises:
        TopicCreationError: the brokers did not do it.
        KafkaRefusedError: they refuse us.
        KafkaUnreachableError: none answers.
    """
    await reach(connection)
    try:
        async with asyncio.timeout(CREATE_SECONDS), _admin(connection) as admin:
            found = await _describe(admin, dict(expectations.topics()))
            wanted = _wanted(found, expectations, events_partitions)
            if wanted:
                copies = min(COPIES, len((await admin.describe_cluster())["brokers"]))
                await _create(admin, wanted, expectations, copies)
            return list(wanted)
    except REFUSALS as error:
        raise refused(error, connection) from error
    except (KafkaError, OSError, TimeoutError) as error:
        message = f"topics could not be created at {connection} ({words(error)}): create them yourself, or try again"
        raise TopicCreationError(message) from error


async def grow(connection: KafkaConnection, topic: str, *, like: str) -> int:
    """Give a topic as many partitions as another has, at least; return how many it has then.

    Raises:
        TopicCreationError: the brokers did not do it.
    """
    try:
        async with asyncio.timeout(CREATE_SECONDS), _admin(connection) as admin:
            found = await _describe(admin, [topic, like])
            ours, theirs = len(found.get(topic, {})), len(found.get(like, {}))
            if ours < theirs:
                await admin.create_partitions({topic: NewPartitions(theirs)})
                await _until_led(admin, {topic: theirs})
            return max(ours, theirs)
    except (KafkaError, OSError, TimeoutError) as error:
        message = f"topic {topic!r} could not be given the partitions of {like!r} ({words(error)}): do it yourself"
        raise TopicCreationError(message) from error


# ------------------------------------------------------------------------------------------------ looking


@asynccontextmanager
async def _admin(connection: KafkaConnection) -> "AsyncIterator[AIOKafkaAdminClient]":
    admin = AIOKafkaAdminClient(**connection.client_arguments())
    try:
        await admin.start()
        yield admin
    finally:
        await close(client_of(admin))  # its own close() waits for frozen brokers


@dataclass(frozen=True, slots=True, kw_only=True)
class _PartitionSeen:
    leader: int
    copies: int


_Seen = Mapping[str, Mapping[int, _PartitionSeen]]


async def _describe(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> _Seen:
    """Return these topics' partitions; topics that do not exist are left out. Creates none."""
    request = MetadataRequest(list(topics), allow_auto_topic_creation=False)
    answer = await admin._send_request(request)  # noqa: SLF001 - describe_topics() creates what it looks for
    seen: dict[str, dict[int, _PartitionSeen]] = {}
    for code, topic, _internal, partitions in answer.topics:
        error = for_code(code)
        if error is UnknownTopicOrPartitionError:
            continue
        if code:
            raise error(topic)
        seen[topic] = {
            number: _PartitionSeen(leader=leader, copies=len(replicas))
            for _code, number, leader, replicas, *_ in partitions
        }
    return seen


async def _examine(admin: AIOKafkaAdminClient, expectations: Expectations) -> list[TopicFinding]:
    roles = dict(expectations.topics())
    found = await _describe(admin, roles)
    events_of = {journal: events for events, journal in expectations.journals.items()}
    findings: list[TopicFinding] = []
    for topic, role in roles.items():
        events = events_of.get(topic)
        if topic not in found:
            like = found.get(events) if events is not None else None
            wanted = CONTROL_PARTITIONS if role is TopicRole.CONTROL else None if like is None else len(like)
            findings.append(Missing(topic=topic, role=role, partitions=wanted))
        elif role is TopicRole.CONTROL and len(found[topic]) != CONTROL_PARTITIONS:
            findings.append(ManyPartitions(topic=topic, partitions=len(found[topic])))
        elif events is not None and len(found[topic]) < len(found.get(events, {})):
            few, many = len(found[topic]), len(found[events])
            findings.append(TooFewPartitions(topic=topic, partitions=few, events_topic=events, events_partitions=many))
    for topic in found:
        copies = min((partition.copies for partition in found[topic].values()), default=0)
        findings += await _examine_settings(admin, topic, roles[topic], copies)
    return findings


async def _examine_settings(admin: AIOKafkaAdminClient, topic: str, role: TopicRole, copies: int) -> list[TopicFinding]:
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    ((code, message, _kind, _name, entries),) = answer.resources
    if code:
        return [SettingsUnseen(topic=topic, why=message or for_code(code).__name__)]
    settings = {name: value for name, value, *_ in entries}
    findings: list[TopicFinding] = []
    if role is TopicRole.JOURNAL:
        policy, retention_ms = settings.get("cleanup.policy", ""), int(settings.get("retention.ms", "-1"))
        if "compact" in policy:
            findings.append(Compacted(topic=topic, policy=policy))
        if 0 <= retention_ms < JOURNAL_RETENTION_MS:
            findings.append(ShortRetention(topic=topic, retention_ms=retention_ms))
    if role is TopicRole.CONTROL and settings.get("cleanup.policy", "") != "compact":
        findings.append(NotCompacted(topic=topic, policy=settings.get("cleanup.policy", "")))
    if role not in (TopicRole.EVENTS, TopicRole.URGENT_EVENTS, TopicRole.CONTROL):
        findings += _examine_limits(topic, role, settings)
    in_sync = int(settings.get("min.insync.replicas", "1"))
    if role is not TopicRole.DEAD_LETTER and in_sync < COPIES_IN_SYNC:
        findings.append(FewCopiesInSync(topic=topic, role=role, copies=copies, in_sync=in_sync))
    return findings


def _examine_limits(topic: str, role: TopicRole, settings: Mapping[str, str]) -> "Iterator[TopicFinding]":
    """Yield the settings that make a topic refuse some of what is written to it."""
    policy = settings.get("cleanup.policy", "")
    if role is not TopicRole.JOURNAL and "compact" in policy:
        yield KeysWanted(topic=topic, role=role, policy=policy)
    max_bytes = int(settings.get("max.message.bytes", USUAL_BYTES))
    needed_bytes = MAX_APPEND_BYTES if role is TopicRole.JOURNAL else RESULT_BYTES
    if max_bytes < needed_bytes:
        yield TakesTooLittle(topic=topic, role=role, max_bytes=max_bytes, needed_bytes=needed_bytes)
    elif role is not TopicRole.JOURNAL and max_bytes < USUAL_BYTES:
        yield CutsMessages(topic=topic, role=role, max_bytes=max_bytes)


# ------------------------------------------------------------------------------------------------ making


def _wanted(found: _Seen, expectations: Expectations, events_partitions: int) -> dict[str, int]:
    """Return the topics to be created, and how many partitions each is to have."""
    counts = {events: len(found.get(events, {})) or events_partitions for events in expectations.journals}
    most = max(counts.values(), default=events_partitions)
    wanted = dict(counts)
    wanted |= {journal: counts[events] for events, journal in expectations.journals.items()}
    wanted |= {expectations.results: most, expectations.dead_letter: most, expectations.control: CONTROL_PARTITIONS}
    return {topic: partitions for topic, partitions in wanted.items() if topic not in found}


async def _create(
    admin: AIOKafkaAdminClient, wanted: Mapping[str, int], expectations: Expectations, copies: int
) -> None:
    journals = set(expectations.journals.values())
    settings = {"min.insync.replicas": str(min(COPIES_IN_SYNC, copies)), "cleanup.policy": "delete"}
    of_journal = settings | {"retention.ms": str(JOURNAL_RETENTION_MS)}
    of_control = settings | {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(CONTROL_HISTORY_MS),
        "message.timestamp.type": "LogAppendTime",  # a hold is timed by the brokers' clock, whoever's tool wrote it
    }
    own = dict.fromkeys(journals, of_journal) | {expectations.control: of_control}
    answer = await admin.create_topics(
        [
            NewTopic(topic, partitions, copies, topic_configs=own.get(topic, settings))
            for topic, partitions in wanted.items()
        ]
    )
    made = dict(wanted)
    for topic, code, message in answer.topic_errors:
        error = for_code(code)
        if error is TopicAlreadyExistsError:  # another instance has created it, maybe with another number of partitions
            made[topic] = 1
        elif code:
            raise error(f"{topic}: {message or error.__name__}")
    await _until_led(admin, made)


async def _until_led(admin: AIOKafkaAdminClient, wanted: Mapping[str, int]) -> None:
    """Return once the brokers know a leader for every partition; the caller's deadline bounds it."""
    while True:
        seen = await _describe(admin, wanted)
        led = {topic: sum(partition.leader >= 0 for partition in seen.get(topic, {}).values()) for topic in wanted}
        if all(led[topic] >= partitions for topic, partitions in wanted.items()):
            return
        await asyncio.sleep(ASK_AGAIN_SECONDS)
