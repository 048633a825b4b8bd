"""Windows: what may share a send, and when it has to go."""

import sys
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Event
from consumer.core.platform.post import body, overhead_bytes
from consumer.core.policy import CampaignPolicy, Policies, WireNames
from consumer.core.sending.window import DEADLINE_MARGIN_SECONDS, Window, Windows
from tests.core.makers import P0, P1, at, make_event

NAMES = WireNames()
POLICY = CampaignPolicy(window_seconds=2.0, max_contacts=4, max_bytes=300)
OTHER = CampaignPolicy(window_seconds=5.0, max_contacts=3, max_bytes=1000)
POLICIES = Policies(default=POLICY, campaigns={2: OTHER})


@dataclass
class Timeline:
    """Windows whose timer is obeyed to the instant, and what came out of them when."""

    windows: Windows = field(default_factory=lambda: Windows(POLICIES, lambda group: overhead_bytes(group, NAMES)))
    time: float = 0.0
    closed: list[tuple[float, Window]] = field(default_factory=list)
    added: list[Event] = field(default_factory=list)
    dropped: list[Event] = field(default_factory=list)
    hurried: list[Event] = field(default_factory=list)

    def go_to(self, time: float) -> None:
        while (wake_at := self.windows.next_wake_at()) is not None and wake_at <= time:
            assert wake_at > self.time, "a timer in the past would be a busy loop"
            self.time = wake_at
            self.windows.close_due(at(wake_at))
            self._collect()
        self.time = time

    def add(self, event: Event) -> None:
        self.added.append(event)
        self.windows.add_all([event], at(self.time))
        self._collect()

    def hurry(self, event: Event) -> None:
        self.hurried.append(event)
        self.windows.hurry(event)
        self._collect()

    def drop(self, number: int) -> None:
        closed = {id(event) for _, window in self.closed for event in window.by_person.values()}
        mine = [event for event in self.added if event.partition.number == number and id(event) not in closed]
        self.dropped += mine
        self.windows.drop([event for event in self.added if event.partition.number == number])
        self._collect()

    def finish(self) -> None:
        self.windows.close_all()
        self._collect()
        assert self.windows.next_wake_at() is None
        assert len(self.windows) == 0

    def _collect(self) -> None:
        self.closed += [(self.time, window) for window in self.windows.closed]
        self.windows.closed = []
        assert (self.windows.next_wake_at() is None) == (len(self.windows) == 0)


def members(window: Window) -> list[Event]:
    return list(window.by_person.values())


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Traffic of two partitions, with urgent events, deadlines, lost partitions and waits."""
    line = Timeline()
    for offset in range(draw(st.integers(1, 30))):
        line.go_to(line.time + draw(st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.9, 3.0])))
        what = draw(st.integers(0, 19))
        if what == 0:
            line.drop(draw(st.integers(0, 1)))
        elif what == 1 and line.added:
            line.hurry(draw(st.sampled_from(line.added)))
        else:
            waited = draw(st.sampled_from([0.0, 0.0, 0.0, 1.5, 9.0]))  # for its person's earlier message
            event = make_event(
                offset,
                partition=draw(st.sampled_from([P0, P1])),
                campaign=draw(st.sampled_from([1, 1, 2])),
                options=draw(st.sampled_from([b"", b"", b'"flash":true'])),
                person=draw(st.sampled_from("abcdefg")),
                now=at(line.time - waited),
                expires_in=draw(st.sampled_from([None, None, None, 0.5, 2.0, 40.0])),
                immediate=draw(st.integers(0, 9)) == 0,
                contact=b"x" * draw(st.sampled_from([20, 60, 90])),
            )
            line.add(event)
    line.go_to(line.time + draw(st.sampled_from([0.0, 1.0, 10.0])))
    line.finish()
    return line


@given(timelines())
def test_every_event_leaves_in_exactly_one_window_unless_its_partition_was_lost(line: Timeline) -> None:
    left = [id(event) for _, window in line.closed for event in members(window)]
    assert len(left) == len(set(left))
    assert set(left) == set(map(id, line.added)) - set(map(id, line.dropped))


@given(timelines())
def test_a_send_never_holds_two_groups_nor_a_person_twice(line: Timeline) -> None:
    for _, window in line.closed:
        assert {event.group for event in members(window)} == {window.key}
        persons = [event.person for event in members(window)]
        assert len(set(persons)) == len(persons)
        assert list(window.by_person) == persons


@given(timelines())
def test_a_send_keeps_to_the_limits_on_contacts_and_bytes(line: Timeline) -> None:
    for _, window in line.closed:
        policy = POLICIES.of(window.key.campaign_id)
        assert 1 <= len(members(window)) <= policy.max_contacts
        assert len(body(window.key, [event.contact for event in members(window)], NAMES)) <= policy.max_bytes


@given(timelines())
def test_nobody_waits_longer_than_the_window_lasts_nor_past_a_deadline(line: Timeline) -> None:
    """What was overdue on arrival (it had to wait for its person's earlier message) leaves at once."""
    for closed_at, window in line.closed:
        policy = POLICIES.of(window.key.campaign_id)
        for event in members(window):
            due = event.arrived + policy.window_seconds
            if event.expires_at is not None:
                due = min(due, event.expires_at - at(0).wall - DEADLINE_MARGIN_SECONDS)
            overdue_on_arrival = due < closed_at
            assert closed_at <= due + 1e-6 or (overdue_on_arrival and event is members(window)[-1])


@given(timelines())
def test_a_window_with_room_waits_for_its_time_unless_somebody_is_in_a_hurry(line: Timeline) -> None:
    end = line.time
    for closed_at, window in line.closed:
        policy = POLICIES.of(window.key.campaign_id)
        full = len(members(window)) == policy.max_contacts or window.size_bytes + 91 > policy.max_bytes
        if full or window.immediate or closed_at == end:
            continue
        dues = [event.arrived + policy.window_seconds for event in members(window)]
        dues += [
            event.expires_at - at(0).wall - DEADLINE_MARGIN_SECONDS
            for event in members(window)
            if event.expires_at is not None
        ]
        lost = any(event.group == window.key for event in line.dropped)  # the one it had to hurry for may be gone
        assert closed_at >= min(dues) - 1e-6 or lost


def test_an_immediate_event_closes_its_window_at_once_and_takes_along_who_waits_there() -> None:
    line = Timeline()
    line.add(make_event(1, person="ann"))
    assert not line.closed
    line.add(make_event(2, person="bob", immediate=True))
    ((_, window),) = line.closed
    assert [event.offset for event in members(window)] == [1, 2]
    assert window.immediate


def test_a_person_from_another_partition_goes_into_a_second_window_of_the_same_group() -> None:
    line = Timeline()
    line.add(make_event(1, partition=P0, person="ann"))
    line.add(make_event(1, partition=P1, person="ann"))
    line.add(make_event(2, partition=P1, person="bob"))
    assert len(line.windows) == 2
    line.go_to(10)
    assert [[event.person for event in members(window)] for _, window in line.closed] == [["ann", "bob"], ["ann"]]


def test_an_idle_stream_still_closes_its_windows_on_time() -> None:
    line = Timeline()
    line.go_to(7.25)
    line.add(make_event(1, now=at(7.25)))
    line.go_to(1000)
    ((closed_at, _),) = line.closed
    assert closed_at == pytest.approx(9.25)


def test_a_window_closes_one_second_before_a_members_deadline() -> None:
    line = Timeline()
    line.add(make_event(1, person="ann"))
    line.go_to(0.5)
    line.add(make_event(2, person="bob", now=at(0.5), expires_in=1.25))
    line.go_to(1000)
    ((closed_at, window),) = line.closed
    assert closed_at == pytest.approx(0.75)
    assert len(members(window)) == 2


def test_who_is_hurried_leaves_at_once_and_as_urgent() -> None:
    line = Timeline()
    waiting = make_event(1, person="ann")
    line.add(waiting)
    line.add(make_event(2, person="bob", options=b'"flash":true'))
    line.hurry(waiting)
    ((_, window),) = line.closed
    assert members(window) == [waiting]
    assert window.immediate
    assert len(line.windows) == 1


def test_events_of_closed_windows_are_let_go_long_before_their_windows_time_would_have_come() -> None:
    """A window of an hour that fills up in a second must not keep an hour of events in memory."""
    hour = Policies(default=CampaignPolicy(window_seconds=3600.0, max_contacts=4))
    windows = Windows(hour, lambda _group: 0)
    events = [make_event(offset, person=str(offset)) for offset in range(4000)]
    for event in events:
        windows.add_all([event], at(0))
    assert len(windows.closed) == 1000
    windows.closed = []
    alone = sys.getrefcount(object()) + 2  # the list above and the loop's name
    held = sum(sys.getrefcount(event) > alone for event in events)
    assert held <= 4 * 20
