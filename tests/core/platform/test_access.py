"""Access: the first contact, and the stop after a refused key, role or address."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.platform.access import PROBE_BASE_SECONDS, PROBE_MAX_SECONDS, Access, AccessState
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.sending.send import Send
from consumer.core.sending.send_queue import SendQueue
from tests.core.makers import at, make_event, make_send, nothing_held


@dataclass
class Scene:
    """A queue full of sends before a platform whose answers the test chooses."""

    access: Access = field(default_factory=lambda: Access(lambda: 1.0, nothing_held(), Policies()))
    time: float = 0.0
    serial: int = 0

    def __post_init__(self) -> None:
        policies = Policies(default=CampaignPolicy(max_concurrency=4), max_concurrency=8, reserved_concurrency=0)
        self.queue = SendQueue(policies, self.access)

    def put(self, *campaigns: int, immediate: bool = False) -> None:
        for campaign in campaigns:
            self.serial += 1
            send = make_send(f"s{self.serial}", make_event(self.serial, campaign=campaign), immediate=immediate)
            self.queue.put(send, at(self.time))

    def picks(self) -> list[Send]:
        return list(iter(lambda: self.queue.pick(at(self.time)), None))

    def deny(self, send: Send) -> None:
        self.access.access_refused((send.campaign_id, send.immediate), at(self.time))
        self.back(send)

    def disappoint(self, send: Send) -> None:
        self.access.attempt_inconclusive((send.campaign_id, send.immediate), at(self.time))
        self.back(send)

    def accept(self, send: Send) -> None:
        self.access.accepted(send.campaign_id, at(self.time))
        self.queue.attempt_ended(send)

    def back(self, send: Send) -> None:
        self.queue.attempt_ended(send)
        self.queue.put(send, at(self.time))

    def next_probe(self) -> Send:
        """Wait as the queue says, and nothing else, for the next probe."""
        assert self.picks() == []
        while True:
            wake_at = self.queue.next_wake_at(at(self.time))
            assert wake_at is not None
            assert wake_at > self.time
            self.time = wake_at
            picks = self.picks()
            if picks:
                (send,) = picks
                return send


def test_until_the_first_2xx_one_request_is_out_at_a_time_and_no_refusal_settles_anything() -> None:
    scene = Scene()
    scene.put(1, 1, 2, 2)
    assert scene.access.state(at(scene.time)) is AccessState.FIRST_CONTACT
    assert not scene.access.settles_refusals
    (send,) = scene.picks()
    scene.disappoint(send)
    scene.accept(scene.next_probe())
    assert scene.access.settles_refusals
    assert len(scene.picks()) == 3


def test_probes_go_round_the_campaigns_although_one_has_all_the_urgent_events() -> None:
    """An urgent campaign that is refused must not keep the others from showing that we are let in."""
    scene = Scene()
    scene.put(1, 1, 1, immediate=True)
    scene.put(2, 3)
    (send,) = scene.picks()
    probed = [send.campaign_id]
    for _ in range(5):
        scene.disappoint(send)
        send = scene.next_probe()
        probed.append(send.campaign_id)
    assert sorted(probed[:3]) == sorted(probed[3:]) == [1, 2, 3]


def test_an_urgent_event_that_is_refused_for_good_leaves_the_others_of_its_campaign_their_turns() -> None:
    scene = Scene()
    scene.put(1, immediate=True)
    scene.put(1, 1)
    (send,) = scene.picks()
    probed = [send]
    for _ in range(3):
        scene.disappoint(send)
        send = scene.next_probe()
        probed.append(send)
    assert len(set(map(id, probed))) == 3, "in four probes each of the three has had its turn"


def test_a_refused_key_stops_everybody_and_what_was_out_does_not_count_as_probes() -> None:
    scene = Scene()
    scene.access.accepted(1, at(scene.time))
    scene.put(*range(1, 9))
    out = scene.picks()
    assert len(out) == 8
    scene.deny(out[0])
    assert scene.access.state(at(scene.time)) is AccessState.STOPPED
    for send in out[1:]:
        assert scene.picks() == [], "nothing starts while the stop is on"
        scene.deny(send)
    wake_at = scene.queue.next_wake_at(at(0))
    assert wake_at is not None
    assert wake_at <= PROBE_BASE_SECONDS, "eight answers to one mistake are one setback"


def test_probes_back_off_to_their_longest_wait_and_never_come_at_once() -> None:
    scene = Scene(access=Access(lambda: 0.0, nothing_held(), Policies()))
    scene.put(1)
    (send,) = scene.picks()
    waits: list[float] = []
    for _ in range(12):
        scene.deny(send)
        before = scene.time
        send = scene.next_probe()
        waits.append(scene.time - before)
    assert waits[0] == pytest.approx(PROBE_BASE_SECONDS / 2)
    assert waits[-1] == pytest.approx(PROBE_MAX_SECONDS / 2)
    assert waits == sorted(waits)


def test_a_2xx_of_another_campaign_narrows_the_stop_to_the_campaign_that_was_refused() -> None:
    scene = Scene()
    scene.access.accepted(9, at(scene.time))
    scene.put(1, 1, 2, 2, 2)
    out = scene.picks()
    refused = next(send for send in out if send.campaign_id == 1)
    fine = next(send for send in out if send.campaign_id == 2)
    scene.deny(refused)
    scene.accept(fine)
    assert scene.access.state(at(scene.time)) is AccessState.OPEN
    assert set(scene.access.refused) == {1}
    scene.put(1, 3, 3)
    assert {send.campaign_id for send in scene.picks()} == {3}, "the others run at full speed"


def test_a_narrowed_campaign_is_probed_one_by_one_and_recovers_with_its_first_2xx() -> None:
    scene = Scene()
    scene.put(1, 1, 1)
    (send,) = scene.picks()
    scene.deny(send)
    scene.access.accepted(2, at(scene.time))
    probe = scene.next_probe()
    assert probe.campaign_id == 1
    scene.deny(probe)
    probe = scene.next_probe()
    assert scene.picks() == []
    scene.accept(probe)
    assert scene.access.refused == {}
    assert len(scene.picks()) == 2


def test_a_stop_ends_with_the_key_mended_and_everybody_goes_on() -> None:
    scene = Scene()
    scene.access.accepted(1, at(scene.time))
    scene.put(1, 2, 3)
    for send in scene.picks():
        scene.deny(send)
    scene.accept(scene.next_probe())
    assert scene.access.state(at(scene.time)) is AccessState.OPEN
    wake_at = scene.queue.next_wake_at(at(scene.time))
    scene.time = wake_at if wake_at is not None else scene.time
    assert len(scene.picks()) == 2, "those that were refused meanwhile are probed, each campaign for itself"


@given(st.data())
def test_whatever_the_answers_somebody_is_always_due_and_never_two_before_we_are_let_in(data: st.DataObject) -> None:
    scene = Scene()
    scene.put(*data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=6)))
    out: list[Send] = []
    for _ in range(30):
        was_shut = scene.access.state(at(scene.time)) is not AccessState.OPEN
        picked = scene.picks()
        if was_shut:
            assert len(picked) <= 1
            assert not (picked and out), "a probe starts when nothing else is out"
        out += picked
        if not out:
            wake_at = scene.queue.next_wake_at(at(scene.time))
            if scene.queue.queued == 0:
                return
            assert wake_at is not None
            assert wake_at > scene.time
            scene.time = wake_at
            continue
        send = out.pop(data.draw(st.integers(0, len(out) - 1)))
        answer = data.draw(st.sampled_from([scene.deny, scene.disappoint, scene.accept]))
        answer(send)
