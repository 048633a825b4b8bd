"""The send queue: whose turn it is, within which limits, and when to look again."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.platform.access import Access
from consumer.core.policy import CampaignPolicy, Policies, RatePolicy
from consumer.core.sending.send import QueueEnd, Send
from consumer.core.sending.send_queue import SendQueue
from consumer.core.terms import Partition
from tests.core.makers import P0, URGENT, at, make_event, make_send, nothing_held

POLICIES = Policies(
    default=CampaignPolicy(max_concurrency=3),
    max_concurrency=5,
    reserved_concurrency=0,
    urgent_topics=frozenset({URGENT.topic}),
)


def open_access() -> Access:
    """A platform that has let us in."""
    access = Access(lambda: 1.0, nothing_held(), POLICIES)
    access.accepted(1, at(0))
    return access


@dataclass
class Scene:
    """A queue with what was put in, what is out, and what was taken out."""

    access: Access = field(default_factory=open_access)
    time: float = 0.0
    waiting: list[Send] = field(default_factory=list)
    out: list[Send] = field(default_factory=list)
    held: dict[int, float] = field(default_factory=dict)
    serial: int = 0

    def __post_init__(self) -> None:
        self.queue = SendQueue(POLICIES, self.access)

    def put(self, campaign: int, *, immediate: bool = False, wait: float = 0.0, partition: Partition = P0) -> Send:
        self.serial += 1
        event = make_event(self.serial, campaign=campaign, partition=partition)
        send = make_send(f"s{self.serial}", event, immediate=immediate, ready_at=self.time + wait)
        self.queue.put(send, at(self.time))
        self.waiting.append(send)
        return send

    def pick(self) -> Send | None:
        send = self.queue.pick(at(self.time))
        if send is not None:
            self.waiting.remove(send)
            self.out.append(send)
            self.check_started(send)
        return send

    def land(self, send: Send) -> None:
        self.out.remove(send)
        self.queue.attempt_ended(send)

    def may_start(self, send: Send) -> bool:
        return (
            send.ready_at <= self.time
            and self.held.get(send.campaign_id, 0.0) <= self.time
            and len(self.out) < POLICIES.max_concurrency
            and sum(each.campaign_id == send.campaign_id for each in self.out) < 3
        )

    def check_started(self, send: Send) -> None:
        assert send.ready_at <= self.time
        assert self.held.get(send.campaign_id, 0.0) <= self.time
        assert len(self.out) <= POLICIES.max_concurrency
        assert sum(each.campaign_id == send.campaign_id for each in self.out) <= 3

    def check(self) -> None:
        assert sorted(map(id, self.queue.sends())) == sorted(map(id, self.waiting))
        assert self.queue.queued == len(self.waiting)
        assert self.queue.in_flight == len(self.out)
        campaigns = [send.campaign_id for send in self.out]
        assert self.queue.in_flight_by_campaign() == {each: campaigns.count(each) for each in campaigns}
        wake_at = self.queue.next_wake_at(at(self.time))
        assert wake_at is None or wake_at > self.time, "a wake in the past would be a busy loop"


@given(st.data())
def test_whatever_happens_nothing_is_lost_limits_hold_and_who_may_start_does(data: st.DataObject) -> None:
    scene = Scene()
    for _ in range(data.draw(st.integers(1, 40))):
        match data.draw(st.integers(0, 8)):
            case 0 | 1 | 2:
                wait = data.draw(st.sampled_from([0.0, 0.0, 0.5, 4.0]))
                immediate, partition = data.draw(st.booleans()), data.draw(st.sampled_from([P0, URGENT]))
                scene.put(data.draw(st.integers(1, 4)), immediate=immediate, wait=wait, partition=partition)
            case 3 if scene.out:
                scene.land(data.draw(st.sampled_from(scene.out)))
            case 4:
                scene.time += data.draw(st.sampled_from([0.1, 1.0, 10.0]))
            case 5:
                campaign, seconds = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([0.2, 3.0]))
                scene.access.asked_to_wait(campaign, seconds, at(scene.time))
                scene.held[campaign] = max(scene.held.get(campaign, 0.0), scene.time + seconds)
            case 6 if scene.waiting:
                scene.queue.promote(data.draw(st.sampled_from(scene.waiting)).members[0])
            case 7:
                campaign = data.draw(st.integers(1, 4))
                scene.queue.remove([send for send in scene.waiting if send.campaign_id == campaign])
                scene.waiting = [send for send in scene.waiting if send.campaign_id != campaign]
            case _:
                while scene.pick() is not None:
                    scene.check()
                assert not any(scene.may_start(send) for send in scene.waiting), "somebody who may start waits"
        scene.check()
    drain(scene)


def picks(scene: Scene) -> list[Send]:
    """Everything that may start now."""
    picked: list[Send] = []
    while (send := scene.pick()) is not None:
        picked.append(send)
    return picked


def drain(scene: Scene) -> None:
    """Obey the queue's own timer alone: everything must come out."""
    while scene.waiting:
        while scene.pick() is not None:
            pass
        if scene.out:
            for send in list(scene.out):
                scene.land(send)
            continue
        wake_at = scene.queue.next_wake_at(at(scene.time))
        assert wake_at is not None, "something waits for time, and nobody would come back for it"
        scene.time = wake_at
    assert scene.queue.next_wake_at(at(scene.time + 100)) is None


@given(st.integers(10, 300), st.integers(1, 5))
def test_a_huge_campaign_delays_another_by_no_more_than_its_share(backlog: int, others: int) -> None:
    """Slots go round the campaigns: a newcomer starts within one round, whatever stands before it."""
    scene = Scene()
    for _ in range(backlog):
        scene.put(1)
    for campaign in range(2, 2 + others):
        for _ in range(2):
            scene.put(campaign)
    order: list[int] = []
    while (send := scene.pick()) is not None:
        order.append(send.campaign_id)
        scene.land(send)
    for campaign in range(2, 2 + others):
        first, second = (index for index, each in enumerate(order) if each == campaign)
        assert first <= others
        assert second <= 2 * (others + 1)


def test_a_campaign_at_its_limit_leaves_the_other_slots_to_the_others() -> None:
    scene = Scene()
    for _ in range(10):
        scene.put(1)
    scene.put(2)
    scene.put(2)
    campaigns = [send.campaign_id for send in picks(scene)]
    assert sorted(campaigns) == [1, 1, 1, 2, 2]


def test_immediate_sends_go_first_and_those_of_one_campaign_in_their_order() -> None:
    scene = Scene()
    normal = [scene.put(1), scene.put(2)]
    urgent = [scene.put(3, immediate=True), scene.put(3, immediate=True), scene.put(1, immediate=True)]
    first, second, third, *rest = picks(scene)
    assert [first, second, third] == [urgent[0], urgent[2], urgent[1]]
    assert rest == normal


def test_a_normal_send_that_somebody_urgent_waits_for_goes_first() -> None:
    scene = Scene()
    scene.put(2)
    scene.put(1)
    waited_for = scene.put(1)
    scene.queue.promote(waited_for.members[0])
    assert scene.pick() is waited_for


def test_a_send_in_its_back_off_that_somebody_urgent_waits_for_goes_first_afterwards() -> None:
    scene = Scene()
    waited_for = scene.put(1, wait=2.0)
    scene.put(2)
    scene.put(1)
    scene.queue.promote(waited_for.members[0])
    scene.time = 2.0
    assert scene.pick() is waited_for


def test_what_is_put_back_goes_before_the_others_of_its_campaign() -> None:
    scene = Scene()
    scene.put(1)
    again = make_send("again", make_event(99, campaign=1))
    scene.queue.put(again, at(0), QueueEnd.FRONT)
    scene.waiting.append(again)
    assert scene.pick() is again


def test_a_campaign_that_the_platform_asked_to_pause_pauses_alone() -> None:
    scene = Scene()
    scene.put(1)
    scene.access.asked_to_wait(1, 30.0, at(0))
    scene.put(1)
    other = scene.put(2)
    assert picks(scene) == [other]
    assert scene.queue.next_wake_at(at(0)) == 30.0
    scene.time = 30.0
    assert len(picks(scene)) == 2


def test_a_campaign_that_is_through_leaves_nothing_behind() -> None:
    scene = Scene()
    for campaign in range(1, 200):
        scene.put(campaign)
        scene.access.asked_to_wait(campaign, 0.1, at(scene.time))
        scene.time += 1
        send = scene.pick()
        assert send is not None
        scene.land(send)
    assert scene.queue.in_flight_by_campaign() == {}
    assert list(scene.queue.sends()) == []
    assert scene.queue.next_wake_at(at(0)) is None or scene.time > 100


# ------------------------------------------------------------------------------------------- fairness, slots and rates


def contacts(campaign: int, count: int, name: str, *, immediate: bool = False) -> Send:
    events = [make_event(index, campaign=campaign) for index in range(count)]
    return make_send(name, *events, immediate=immediate)


def queue_of(policies: Policies) -> SendQueue:
    access = Access(lambda: 1.0, nothing_held(), policies)
    access.accepted(1, at(0))
    return SendQueue(policies, access)


@given(
    st.dictionaries(
        st.integers(1, 4), st.tuples(st.sampled_from([1, 7, 50]), st.sampled_from([0.5, 1.0, 3.0])), min_size=2
    )
)
def test_campaigns_get_contacts_by_their_weights_whatever_their_sends_carry(
    campaigns: dict[int, tuple[int, float]],
) -> None:
    policies = Policies(
        campaigns={each: CampaignPolicy(weight=weight) for each, (_, weight) in campaigns.items()}, max_concurrency=1
    )
    queue, sent = queue_of(policies), dict.fromkeys(campaigns, 0)
    for campaign, (size, _) in campaigns.items():
        for number in range(2_000 // size):
            queue.put(contacts(campaign, size, f"{campaign}-{number}"), at(0))
    while min(sent.values()) < 300 and (send := queue.pick(at(0))) is not None:
        sent[send.campaign_id] += len(send.members)
        queue.attempt_ended(send)
    shares = {each: sent[each] / weight for each, (_, weight) in campaigns.items()}
    largest = max(size / weight for size, weight in campaigns.values())
    assert max(shares.values()) - min(shares.values()) <= 2 * largest


def test_a_campaign_that_comes_back_gets_its_share_from_then_on_and_nothing_for_its_rest() -> None:
    queue = queue_of(Policies(max_concurrency=1))
    for number in range(50):
        queue.put(contacts(1, 10, f"1-{number}"), at(0))
    for _ in range(20):
        send = queue.pick(at(0))
        assert send is not None
        queue.attempt_ended(send)
    for number in range(20):
        queue.put(contacts(2, 10, f"2-{number}"), at(0))
    order: list[int] = []
    for _ in range(10):
        send = queue.pick(at(0))
        assert send is not None
        order.append(send.campaign_id)
        queue.attempt_ended(send)
    assert 4 <= order.count(2) <= 6


def test_slots_are_kept_for_the_immediate_and_one_at_least_for_the_others() -> None:
    queue = queue_of(Policies(max_concurrency=5, reserved_concurrency=4, default=CampaignPolicy(max_concurrency=5)))
    for number in range(3):
        queue.put(contacts(1, 1, f"n{number}"), at(0))
    assert queue.pick(at(0)) is not None
    assert queue.pick(at(0)) is None
    for number in range(9):
        queue.put(contacts(2, 1, f"i{number}", immediate=True), at(0))
    urgent = [queue.pick(at(0)) for _ in range(5)]
    assert [None if send is None else send.immediate for send in urgent] == [True, True, True, True, None]
    assert urgent[0] is not None
    queue.attempt_ended(urgent[0])
    again = queue.pick(at(0))
    assert again is not None
    assert again.immediate


@pytest.mark.parametrize("urgent_topics, others_take", [(frozenset(), 8), (frozenset({URGENT.topic}), 6)])
def test_half_of_those_slots_are_kept_for_urgent_topics_where_there_are_any(
    urgent_topics: frozenset[str], others_take: int
) -> None:
    eight = CampaignPolicy(max_concurrency=8)
    queue = queue_of(Policies(max_concurrency=8, reserved_concurrency=4, default=eight, urgent_topics=urgent_topics))
    for number in range(9):
        queue.put(contacts(1, 1, f"n{number}"), at(0))
        queue.put(contacts(2, 1, f"i{number}", immediate=True), at(0))
    out = [send for _ in range(9) if (send := queue.pick(at(0))) is not None]
    assert len(out) == others_take
    for number in range(9):
        send = make_send(f"u{number}", make_event(number, partition=URGENT, campaign=2))
        queue.put(send, at(0))
        queue.promote(send.members[0])
        assert send.urgent is bool(urgent_topics)
    urgent = [send for _ in range(9) if (send := queue.pick(at(0))) is not None]
    assert len(urgent) == 8 - others_take
    assert all(send.urgent for send in urgent)
    for send in urgent:
        queue.attempt_ended(send)
        again = queue.pick(at(0))
        assert again is None or again.urgent, "their slots are theirs"


def test_a_rate_puts_off_what_waits_and_says_when_to_look_again() -> None:
    queue = queue_of(Policies(rate=RatePolicy(requests_per_second=2.0)))
    for number in range(3):
        queue.put(contacts(1, 1, str(number)), at(0))
    assert queue.pick(at(0)) is not None
    assert queue.pick(at(0)) is None
    wake_at = queue.next_wake_at(at(0))
    assert wake_at == at(0.5).steady
    assert queue.pick(at(0.5)) is not None


def test_a_campaigns_own_rate_is_nobody_elses() -> None:
    slow = CampaignPolicy(rate=RatePolicy(contacts_per_second=10.0))
    queue = queue_of(Policies(campaigns={1: slow}))
    for number in range(2):
        queue.put(contacts(1, 10, f"1-{number}"), at(0))
        queue.put(contacts(2, 10, f"2-{number}"), at(0))
    picked = [send.campaign_id for send in iter(lambda: queue.pick(at(0)), None)]
    assert sorted(picked) == [1, 2, 2]
    assert queue.next_wake_at(at(0)) == at(1.0).steady
