"""What can be wrong with a topic, or worth knowing, each as one line that says what to do. Reads no topic itself."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

DAY_MS: Final = 24 * 60 * 60 * 1000
JOURNAL_RETENTION_MS: Final = 30 * DAY_MS
"""The longest downtime that a restart is safe against."""

COPIES: Final = 3
COPIES_IN_SYNC: Final = 2
USUAL_BYTES: Final = 1_048_588
"""The default of `max.message.bytes`."""

RESULT_BYTES: Final = 4_096
"""An upper bound of the smallest form of a result: four texts of 128 characters, instants and names."""


class TopicRole(StrEnum):
    """What a topic is for, as messages name it."""

    EVENTS = "events"
    URGENT_EVENTS = "urgent events"
    JOURNAL = "journal"
    RESULTS = "results"
    DEAD_LETTER = "dead-letter"
    CONTROL = "control"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFinding:
    """A problem with a topic, or (a note) something worth knowing. Its `str()` is one line and says what to do."""

    is_note: ClassVar[bool] = False
    stops_run: ClassVar[bool] = True
    """Whether the service refuses to start. If not, it starts and logs the problem, which may matter only later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokersUnreachable(TopicFinding):
    """No broker answers."""

    words: str

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRefused(TopicFinding):
    """Credentials or permissions are wrong."""

    words: str

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing(TopicFinding):
    """There is no such topic."""

    topic: str
    role: TopicRole
    partitions: int | None
    """As many as it should have, where that is known."""

    def __str__(self) -> str:
        setting = f"CAMPAIGN_KAFKA__{_SETTINGS[self.role]}"
        how = "" if self.partitions is None else f" with {self.partitions} partition{'s' * (self.partitions != 1)}"
        policy = _POLICIES.get(self.role, "")
        return (
            f"{setting}: the {self.role.value} topic {self.topic!r} does not exist: create it{how}{policy}, "
            "or run `campaign-consumer topics`"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TooFewPartitions(TopicFinding):
    """A journal with fewer partitions than its events topic: some events could not be sent safely."""

    topic: str
    partitions: int
    events_topic: str
    events_partitions: int

    def __str__(self) -> str:
        return (
            f"the journal {self.topic!r} has {self.partitions} partitions, {self.events_topic!r} has "
            f"{self.events_partitions}: give the journal {self.events_partitions} partitions"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted(TopicFinding):
    """A journal whose entries Kafka may remove one by one."""

    topic: str
    policy: str

    def __str__(self) -> str:
        return f"the journal {self.topic!r} has cleanup.policy={self.policy}: set it to delete, compaction eats entries"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCompacted(TopicFinding):
    """A control topic whose retention removes old holds."""

    topic: str
    policy: str

    def __str__(self) -> str:
        return (
            f"the control topic {self.topic!r} has cleanup.policy={self.policy}: set it to compact, or retention "
            "removes old holds"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyPartitions(TopicFinding):
    """A control topic with several partitions, of which the service reads only one."""

    topic: str
    partitions: int

    def __str__(self) -> str:
        return (
            f"the control topic {self.topic!r} has {self.partitions} partitions: it needs exactly 1, or releases and "
            "holds have no order"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysWanted(TopicFinding):
    """Results or dead letters in a topic that takes no record without a key."""

    stops_run: ClassVar[bool] = False
    topic: str
    role: TopicRole
    policy: str

    def __str__(self) -> str:
        return (
            f"the {self.role.value} topic {self.topic!r} has cleanup.policy={self.policy}: set it to delete, a compacted "
            "topic takes no record without a key, so the first event without one would stop its partition"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TakesTooLittle(TopicFinding):
    """A topic whose `max.message.bytes` is below what has to be written to it."""

    stops_run: ClassVar[bool] = False
    topic: str
    role: TopicRole
    max_bytes: int
    needed_bytes: int

    def __str__(self) -> str:
        return (
            f"the {self.role.value} topic {self.topic!r} has max.message.bytes={self.max_bytes}: set it to "
            f"{USUAL_BYTES}, up to {self.needed_bytes} bytes are written at once, and a partition stops where they do "
            "not fit"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CutsMessages(TopicFinding):
    """A topic whose size limit makes the service cut large messages."""

    is_note: ClassVar[bool] = True
    topic: str
    role: TopicRole
    max_bytes: int

    def __str__(self) -> str:
        return (
            f"the {self.role.value} topic {self.topic!r} has max.message.bytes={self.max_bytes}: what is larger is cut; "
            f"{USUAL_BYTES} takes everything whole"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRetention(TopicFinding):
    """A journal that forgets sooner than is wise."""

    is_note: ClassVar[bool] = True
    topic: str
    retention_ms: int

    def __str__(self) -> str:
        days = self.retention_ms / DAY_MS
        return (
            f"the journal {self.topic!r} keeps {days:.3g} days: a downtime longer than that cannot be told from a "
            f"lost journal; retention.ms={JOURNAL_RETENTION_MS} keeps 30 days"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FewCopiesInSync(TopicFinding):
    """Acknowledged records that one broker's loss may take away."""

    is_note: ClassVar[bool] = True
    topic: str
    role: TopicRole
    copies: int
    in_sync: int

    def __str__(self) -> str:
        cure = "set min.insync.replicas=2" if self.copies >= COPIES else "3 replicas and min.insync.replicas=2 are safe"
        return (
            f"the {self.role.value} topic {self.topic!r} has {self.copies} replicas and min.insync.replicas="
            f"{self.in_sync}: what one broker acknowledged can be lost with it; {cure}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsUnseen(TopicFinding):
    """The topic exists, but we may not read its settings."""

    is_note: ClassVar[bool] = True
    topic: str
    why: str

    def __str__(self) -> str:
        return f"the settings of topic {self.topic!r} cannot be read ({self.why}): grant DESCRIBE_CONFIGS to check them"


_SETTINGS: Final = {
    TopicRole.EVENTS: "EVENTS_TOPICS",
    TopicRole.URGENT_EVENTS: "URGENT_TOPICS",
    TopicRole.JOURNAL: "JOURNAL_TOPIC",
    TopicRole.RESULTS: "RESULTS_TOPIC",
    TopicRole.DEAD_LETTER: "DEAD_LETTER_TOPIC",
    TopicRole.CONTROL: "CONTROL_TOPIC",
}

_POLICIES: Final = {
    TopicRole.JOURNAL: " and cleanup.policy=delete",
    TopicRole.CONTROL: " and cleanup.policy=compact",
}
"""The cleanup policy that a topic must be created with."""
