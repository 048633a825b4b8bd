"""What an error of the group's coordinator means, as text with the setting and the cure. Asks no broker."""

from typing import Final

from aiokafka.errors import (
    BrokerResponseError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    kafka_errors,
)

from config.durations import spell_duration
from config.membership import Membership
from consumer.edge.kafka.connection import KafkaRefusedError, words


class GroupMaxSizeReachedError(BrokerResponseError):  # type: ignore[misc]  # the client is untyped
    """The group has as many members as its brokers allow."""

    errno = 81
    message = "GROUP_MAX_SIZE_REACHED"
    description = "The consumer group has reached its maximum size."


class FencedInstanceIdError(BrokerResponseError):  # type: ignore[misc]  # see above
    """Another member has taken this static name."""

    errno = 82
    message = "FENCED_INSTANCE_ID"
    description = "Another member has registered the same group instance ID."


for _unknown_to_the_client in (GroupMaxSizeReachedError, FencedInstanceIdError):
    kafka_errors[_unknown_to_the_client.errno] = _unknown_to_the_client

_SESSION: Final = InvalidSessionTimeoutError.__name__
_PROTOCOL: Final = InconsistentGroupProtocolError.__name__


def refused_by_group(
    error: KafkaError, *, group: str, membership: Membership, instance_id: str | None
) -> KafkaRefusedError:
    """Return why a membership has ended, in one line. The client names some errors only in its message."""
    named = f"{type(error).__name__} {error}"
    if _SESSION in named:
        return KafkaRefusedError(
            f"CAMPAIGN_KAFKA__SESSION_TIMEOUT={spell_duration(membership.session_seconds)}: the brokers take no such "
            "session: set it between their group.min.session.timeout.ms and group.max.session.timeout.ms"
        )
    if FencedInstanceIdError.__name__ in named:
        return KafkaRefusedError(
            f"CAMPAIGN_KAFKA__GROUP_INSTANCE_ID={instance_id}: another process is a member of group {group!r} by this "
            "name: give each instance a name of its own"
        )
    setting = f"CAMPAIGN_KAFKA__GROUP_ID={group}"
    if _PROTOCOL in named:
        return KafkaRefusedError(
            f"{setting}: members of another client, or with another way to share partitions, are in this group: "
            "stop them, or give this service a group of its own"
        )
    if GroupMaxSizeReachedError.__name__ in named:
        return KafkaRefusedError(
            f"{setting}: the group has as many members as its brokers allow: stop some, or raise their group.max.size"
        )
    if InvalidGroupIdError.__name__ in named:
        return KafkaRefusedError(f"{setting}: the brokers take no group of this name: choose another")
    return KafkaRefusedError(
        f"{setting}: the membership has ended ({words(error)}): start again; if it ends again, look at the log of the "
        "broker that coordinates the group"
    )
