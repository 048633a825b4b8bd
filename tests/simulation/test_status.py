"""What `/status` says of a partition, in numbers: records in hand, unread, settled, and what nobody may read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from consumer.service.service import LOGS_EVERY_SECONDS
from consumer.service.status import StatusBoard
from consumer.service.status_shape import PartitionStatus
from tests.simulation.faults import NONE
from tests.simulation.scenario import Publication, publication, scenario_of
from tests.simulation.world import World

SCENARIO = replace(
    scenario_of(0),
    hold=frozenset(),
    processes=1,
    partitions=1,
    chances=NONE,
    blows=(),
    publications=(),
    starts_at=(0,),
    window_seconds=0.0,
    max_contacts=1,
    buffer_events=4,
    max_ahead=100,
    max_attempts=9,
    api_seconds=5.0,
)
LONG_AGO = -1.0


def event(index: int) -> Publication:
    person = f"person {index}"
    contact = {"phoneE164": f"+3460000010{index}"}
    return publication(index=f"s{index}", at=0.0, partition=0, campaign=1, contact=contact, person=person)


class Watched:
    """A world of one process and one partition, looked at through its `/status`."""

    def __init__(self, world: World) -> None:
        self.world = world
        (self.process,) = world.processes
        service = self.process.service
        assert service is not None
        self.board = StatusBoard(service, request_seconds=5.0, kafka_troubled_at=lambda: None)

    def pass_time(self, seconds: float = 12.0) -> None:
        """Long enough for a look at the logs, a checkpoint and a commit."""
        until = self.world.time + seconds
        self.world.run_until(until)

    @property
    def partition(self) -> PartitionStatus:
        (found,) = self.board.status()["partitions"]
        return found

    def numbers(self) -> dict[str, int | None]:
        said = self.partition
        names = ("committed", "watermark", "position", "log_end", "lag", "held")
        return {name: said[name] for name in names}  # type: ignore[literal-required]

    def parts(self) -> dict[str, int]:
        """The parts of its lag that hold something."""
        said = self.partition["lag_parts"]
        assert said is not None
        parts = cast("dict[str, int]", {name: count for name, count in said.items() if count})
        assert sum(parts.values()) == self.partition["lag"]
        return parts

    def late_by(self, tolerance: float, *, since: float) -> bool:
        """Whether its lag in seconds counts from then."""
        said = self.partition["lag_seconds"]
        return said is not None and abs(self.world.wall - since - said) <= tolerance


@contextmanager
def watched(**changes: Any) -> Iterator[Watched]:
    with World(replace(SCENARIO, **changes)).open() as world:
        world.run_until(5.0)
        yield Watched(world)


def test_records_in_hand_and_unread_are_lag_and_markers_are_not() -> None:
    with watched() as it:
        it.world.platform.denied_until = 1e9
        for index in range(3):
            it.world.publish(event(index))
        it.pass_time()
        assert it.numbers() == {"committed": 0, "watermark": 0, "position": 3, "log_end": 3, "lag": 3, "held": 3}
        assert it.parts() == {"blocked": 3}

        it.world.logs.events[0].end += 2  # the ends of two transactions
        it.pass_time()
        assert it.numbers() == {"committed": 0, "watermark": 0, "position": 5, "log_end": 5, "lag": 3, "held": 3}

        for index in range(3, 6):
            it.world.publish(event(index))
        it.pass_time()
        assert it.numbers() == {"committed": 0, "watermark": 0, "position": 6, "log_end": 8, "lag": 6, "held": 4}
        assert it.parts() == {"blocked": 4, "backlog": 2}

        it.world.platform.denied_until = LONG_AGO
        it.pass_time(60.0)
        assert it.numbers() == {"committed": 8, "watermark": 8, "position": 8, "log_end": 8, "lag": 0, "held": 0}
        assert (it.parts(), it.partition["lag_seconds"]) == ({}, 0.0)


def test_a_stopped_partition_shows_what_its_last_owner_was_not_done_with() -> None:
    with watched() as it:
        it.world.publish(event(0))
        it.pass_time()
        it.world.platform.denied_until = 1e9
        published_at = it.world.wall
        for index in range(1, 4):
            it.world.publish(event(index))
        it.pass_time()
        it.world.logs.journals[0].values.clear()
        it.world.logs.journals[0].landed_at.clear()
        it.world.judge.abandon(0)
        it.world.platform.denied_until = LONG_AGO
        it.pass_time(60.0)
        assert it.partition["state"] == "stopped"
        assert it.numbers() == {"committed": 1, "watermark": 1, "position": None, "log_end": 4, "lag": 3, "held": 0}
        assert it.parts() == {"blocked": 3}
        assert it.late_by(0.5, since=published_at)


def test_nothing_of_a_stopped_partitions_log_is_done_once_it_was_made_anew() -> None:
    with watched() as it:
        for index in range(4):
            it.world.publish(event(index))
        it.pass_time(30.0)
        it.world.logs.journals[0].values.clear()
        it.world.logs.journals[0].landed_at.clear()
        it.world.judge.abandon(0)
        it.world.publish(event(4))
        it.pass_time(60.0)
        log = it.world.logs.events[0]
        assert (it.partition["state"], it.partition["watermark"], it.partition["lag"]) == ("stopped", 4, 1)
        log.records, log.end = log.records[:2], 2  # its topic was made anew, and two were published since
        it.pass_time()
        assert (it.partition["lag"], it.parts()) == (2, {"blocked": 2})


def test_a_partition_that_cannot_be_read_for_want_of_room_says_how_old_its_first_unread_record_is() -> None:
    """Its own events are not what fills the buffer: nothing in hand tells its age."""
    with watched() as it:
        service = it.process.service
        assert service is not None
        service.pipeline.buffer.readable = lambda now: set()  # type: ignore[method-assign]  # noqa: ARG005
        it.pass_time()
        published_at = it.world.wall
        it.world.publish(event(0))
        it.pass_time(1.0)
        assert it.partition["lag_seconds"] in (None, 0.0)
        it.pass_time()
        assert (it.numbers()["held"], it.parts()) == (0, {"backlog": 1})
        assert it.late_by(0.5, since=published_at)


def test_lag_is_known_as_soon_as_a_partition_is_taken_over() -> None:
    with World(SCENARIO).open() as world:
        world.run_until(0.1)
        it = Watched(world)
        while not any(partition["state"] == "owned" for partition in it.board.status()["partitions"]):
            it.pass_time(0.1)
        assert world.time < LOGS_EVERY_SECONDS, "the ends of the logs were not looked at yet"
        assert it.partition["lag"] == 0


def test_what_is_parked_is_told_with_its_ranges_its_age_and_whether_reading_goes_on_past_it() -> None:
    with watched(read_ahead=True) as it:
        it.world.platform.denied_until = 1e9
        published_at = it.world.wall
        for index in range(9):
            it.world.publish(event(index))
        it.pass_time(2.0)
        told = it.board.status()
        parked = told["buffer"]["parked"]
        assert it.parts() == {"blocked": 9 - parked, "parked": parked}
        assert parked >= 5
        assert told["buffer"]["parked_ranges"] == 1
        assert told["buffer"]["reads_past"]
        assert told["buffer"]["bounded_partitions"] == 0
        assert abs(it.world.wall - published_at - told["ages"]["parked"]) < 0.5
        assert [(one["events"], one["parked"], one["why"]) for one in told["waiting"]] == [
            (9 - parked, parked, "access")
        ]
        assert it.partition["why"] is None

        it.world.platform.denied_until = LONG_AGO
        it.pass_time(60.0)
        told = it.board.status()
        buffer = told["buffer"]
        assert (buffer["parked"], buffer["parked_ranges"], buffer["reads_past"]) == (0, 0, False)
        assert told["ages"]["parked"] == 0.0
        assert it.world.reached["records_read_again"] >= 1


def test_a_partition_that_is_not_read_past_the_bound_names_the_setting_and_so_does_the_verdict() -> None:
    with watched(read_ahead=True, max_ahead=3) as it:
        it.world.platform.denied_until = 1e9
        for index in range(9):
            it.world.publish(event(index))
        it.pass_time(2.0)
        told = it.board.status()
        assert "KAFKA__MAX_AHEAD" in str(it.partition["why"])
        assert it.partition["paused"]
        assert told["buffer"]["bounded_partitions"] == 1
        (said,) = [one["sentence"] for one in told["verdict"]["causes"] if one["cause"] == "buffer_full"]
        assert "KAFKA__MAX_AHEAD" in said
