"""A partition in trouble leaves the shared producer and comes back, and no producer is ever lost; without a broker."""

from random import Random

import pytest
from aiokafka import TopicPartition

from consumer.edge.kafka.partition_producers import NEXT, PartitionProducers, ProducerEvent, ProducerUse

OURS, OTHER = TopicPartition("events-journal", 0), TopicPartition("events-journal", 1)

SHARES, NEEDS, HAS = ProducerUse.SHARES, ProducerUse.NEEDS_ITS_OWN, ProducerUse.HAS_ITS_OWN
NO_LEADER, OWN_STARTED = ProducerEvent.NO_LEADER, ProducerEvent.OWN_STARTED
SHARED_FAILED, SHARED_SUCCEEDED = ProducerEvent.SHARED_FAILED, ProducerEvent.SHARED_SUCCEEDED
OWN_FAILED, OWN_SUCCEEDED = ProducerEvent.OWN_FAILED, ProducerEvent.OWN_SUCCEEDED

TABLE = [
    (SHARES, NO_LEADER, NEEDS),
    (SHARES, SHARED_FAILED, NEEDS),
    (SHARES, SHARED_SUCCEEDED, SHARES),
    (SHARES, OWN_STARTED, HAS),  # an earlier batch has succeeded while it was being started
    (NEEDS, NO_LEADER, NEEDS),
    (NEEDS, SHARED_FAILED, NEEDS),
    (NEEDS, SHARED_SUCCEEDED, SHARES),
    (NEEDS, OWN_STARTED, HAS),
    (HAS, NO_LEADER, HAS),
    (HAS, SHARED_FAILED, HAS),
    (HAS, SHARED_SUCCEEDED, HAS),
    (HAS, OWN_FAILED, NEEDS),
    (HAS, OWN_SUCCEEDED, SHARES),
]


def producers_with(use: ProducerUse) -> PartitionProducers[str]:
    """A shared producer, and a partition that stands as `use` says."""
    producers = PartitionProducers[str]()
    producers.shared_started("shared")
    if use is not SHARES:
        producers.no_leader(OURS)
    if use is HAS:
        producers.own_started(OURS, "own")
    assert producers.use_of(OURS) is use
    return producers


def happen(producers: PartitionProducers[str], event: ProducerEvent) -> str | None:
    """Let `event` happen to our partition; return the producer that nobody needs any more."""
    match event:
        case ProducerEvent.NO_LEADER:
            producers.no_leader(OURS)
        case ProducerEvent.OWN_STARTED:
            producers.own_started(OURS, "own")
        case ProducerEvent.SHARED_FAILED:
            producers.failed(OURS, "shared")
        case ProducerEvent.OWN_FAILED:
            producers.failed(OURS, "own")
        case ProducerEvent.SHARED_SUCCEEDED:
            return producers.succeeded(OURS, "shared")
        case ProducerEvent.OWN_SUCCEEDED:
            return producers.succeeded(OURS, "own")
    return None


@pytest.mark.parametrize("use, event, following", TABLE)
def test_each_event_moves_a_partition_as_the_table_says(
    use: ProducerUse, event: ProducerEvent, following: ProducerUse
) -> None:
    producers = producers_with(use)

    unneeded = happen(producers, event)

    assert producers.use_of(OURS) is following
    assert producers.use_of(OTHER) is SHARES
    assert unneeded == ("own" if event is OWN_SUCCEEDED else None)
    assert producers.shared == (None if event is SHARED_FAILED else "shared")
    in_use = [] if event is SHARED_FAILED else ["shared"]
    assert producers.stop() == in_use + (["own"] if following is HAS else [])


def test_the_table_says_all_that_can_happen() -> None:
    assert {(use, event) for use, event, _ in TABLE} == {(use, event) for event, row in NEXT.items() for use in row}
    assert set(NEXT) == set(ProducerEvent)


def test_a_second_producer_of_a_partitions_own_is_never_taken() -> None:
    with pytest.raises(AssertionError):
        producers_with(HAS).own_started(OURS, "another")


def test_each_partition_in_trouble_has_its_own_producer() -> None:
    producers = producers_with(HAS)
    producers.no_leader(OTHER)
    producers.own_started(OTHER, "own of the other")

    producers.failed(OTHER, "own of the other")

    assert (producers.use_of(OURS), producers.own(OURS)) == (HAS, "own")
    assert producers.use_of(OTHER) is NEEDS


@pytest.mark.parametrize("use", ProducerUse)
def test_after_a_stop_all_share_a_producer_that_is_yet_to_be_started(use: ProducerUse) -> None:
    producers = producers_with(use)

    assert producers.stop() == (["shared", "own"] if use is HAS else ["shared"])

    assert producers.shared is None
    assert producers.use_of(OURS) is SHARES
    assert producers.stop() == []


@pytest.mark.parametrize("seed", range(50))
def test_no_producer_is_lost_while_two_batches_of_a_partition_are_out(seed: int) -> None:
    """Each that was started is in use, or was given back so that it is cut off."""
    chance, producers = Random(seed), PartitionProducers[int]()
    running: set[int] = set()
    out: list[tuple[TopicPartition, int]] = []
    for number in range(300):
        target = chance.choice([OURS, OTHER])
        if producers.use_of(target) is NEEDS:
            producers.own_started(target, number)
            running.add(number)
        elif producers.shared is None:
            producers.shared_started(number)
            running.add(number)
        if len(out) < 4:
            out.append((target, producers.own(target) if producers.use_of(target) is HAS else shared_of(producers)))
        match chance.randrange(4):
            case 0:
                producers.no_leader(target)
            case 1:
                ended, producer = out.pop(chance.randrange(len(out)))
                if producer in running:  # else its batch was lost with the producer
                    producers.failed(ended, producer)
                    running.discard(producer)
            case 2:
                ended, producer = out.pop(chance.randrange(len(out)))
                unneeded = producers.succeeded(ended, producer)
                running -= {unneeded}
            case _:
                pass
        used = {producers.own(each) for each in (OURS, OTHER) if producers.use_of(each) is HAS}
        assert used | {producers.shared} - {None} == running

    assert set(producers.stop()) == running


def shared_of(producers: PartitionProducers[int]) -> int:
    assert producers.shared is not None
    return producers.shared
