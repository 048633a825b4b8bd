"""A group that does not take us, or does not keep us, says in one line which setting it is about, and what to do."""

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import InvalidGroupIdError, KafkaError

from config.membership import Membership
from consumer.edge.kafka.connection import KafkaRefusedError
from consumer.edge.kafka.group.refusals import FencedInstanceIdError, GroupMaxSizeReachedError, refused_by_group
from tests.kafka.members import fetch_for_ever, member_of, until_assigned
from tests.support.cluster import Cluster
from tests.support.topics import Topics


async def test_a_session_that_the_brokers_do_not_take_names_the_setting(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events")
    async with member_of(kafka, topic, session_seconds=2_000.0) as member:
        with pytest.raises(KafkaRefusedError, match=r"CAMPAIGN_KAFKA__SESSION_TIMEOUT=.*: .*group\.min\.session"):
            await fetch_for_ever(member)


async def test_a_longer_session_is_taken(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events")
    async with member_of(kafka, topic, session_seconds=20.0) as member:
        await until_assigned(member, count=1)


async def test_members_that_share_partitions_in_another_way_are_named(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events")
    old = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=topic,
        partition_assignment_strategy=[StickyPartitionAssignor],
    )
    async with old:
        while not old.assignment():
            await old.getmany(timeout_ms=50)
        async with member_of(kafka, topic) as member:
            with pytest.raises(KafkaRefusedError, match=f"CAMPAIGN_KAFKA__GROUP_ID={topic}: members of another client"):
                await fetch_for_ever(member)


@pytest.mark.parametrize(
    "error, words",
    [
        (KafkaError(repr(GroupMaxSizeReachedError())), "as many members as its brokers allow"),
        (KafkaError(repr(FencedInstanceIdError())), "CAMPAIGN_KAFKA__GROUP_INSTANCE_ID=seat-1: another process"),
        (InvalidGroupIdError(), "the brokers take no group of this name"),
        (KafkaError("Unexpected error during coordination"), "the membership has ended (KafkaError: Unexpected"),
    ],
)
def test_what_else_ends_a_membership_is_one_line_with_a_cure(error: KafkaError, words: str) -> None:
    refusal = refused_by_group(error, group="g", membership=Membership(), instance_id="seat-1")
    assert words in str(refusal)
    assert "\n" not in str(refusal)
