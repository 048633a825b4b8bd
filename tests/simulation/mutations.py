"""Rules of the protocol, each broken on purpose: what the simulation must be able to see. Repairs nothing.

Each is applied to the running code by a `pytest.MonkeyPatch`, and undone by it.
"""
# ruff: noqa: SLF001  # to break a rule from outside is to reach inside

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import pytest

from consumer.core import settle, takeover
from consumer.core.admit import Door
from consumer.core.answer import Withholding
from consumer.core.attempts import Attempts
from consumer.core.delivery import Delivery
from consumer.core.event import Event
from consumer.core.journal import Checkpoint, OpenAttempt, Placed, Returned, Tried
from consumer.core.lane import Lane, TakenOver
from consumer.core.ledger import Draft, Ledger
from consumer.core.send import Send, Stage
from consumer.core.settle import Again, Decision
from consumer.core.terms import Instant, JournalOffset, Now, Offset
from consumer.core.watermark import Watermark
from consumer.core.window import Windows

Patch = pytest.MonkeyPatch
Mutation = Callable[[Patch], None]


def no_offset_check(patch: Patch) -> None:
    """An append counts as proven wherever it landed."""

    def landed(self: Ledger, base: JournalOffset) -> list[Draft]:
        self._out_at = base
        return self._proven(JournalOffset(base + len(self._out)))

    patch.setattr(Ledger, "_append_landed", landed)


def post_before_the_proof(patch: Patch) -> None:
    """A request goes out when its intent is written, not when it is proven."""
    original = Delivery._intend

    def intend(self: Delivery, send: Send, now: Now) -> None:
        original(self, send, now)
        send.unproven.clear()
        send.proven_at = now.steady
        send.move(Stage.POSTING)
        self.to_post.append(send)

    patch.setattr(Delivery, "_intend", intend)
    patch.setattr(Delivery, "intent_proven", lambda *_: None)


def gap_not_read(patch: Patch) -> None:
    """Whatever stands in a gap is taken to be harmless."""
    original = Ledger.gap_read
    patch.setattr(Ledger, "gap_read", lambda self, _entries: original(self, []))


def checkpoint_without_open_attempts(patch: Patch) -> None:
    """A snapshot forgets what may be out."""
    original = Attempts.snapshot

    def snapshot(self: Attempts) -> tuple[tuple[OpenAttempt, ...], tuple[Tried, ...]]:
        return (), original(self)[1]

    patch.setattr(Attempts, "snapshot", snapshot)


def returned_after_a_lost_answer(patch: Patch) -> None:
    """An attempt whose answer was lost is called surely not delivered."""
    original = settle._unknown

    def unknown(*args: Any) -> Decision:
        decision = original(*args)
        return dataclasses.replace(decision, returned=True) if isinstance(decision, Again) else decision

    patch.setattr(settle, "_unknown", unknown)


def returned_closes_every_attempt(patch: Patch) -> None:
    """A later attempt's return closes the earlier ones of its send, too."""
    original = Attempts._close

    def close(self: Attempts, returned: Returned) -> None:
        original(self, returned)
        self._open.pop(returned.send_id, None)

    patch.setattr(Attempts, "_close", close)


def entries_count_wherever_they_stand(patch: Patch) -> None:
    """A reader believes a former owner's late entries."""
    patch.setattr(Placed, "counts", property(lambda _self: True))


def take_over_without_reading(patch: Patch) -> None:
    """Whoever takes over reads nothing of what was written before."""
    patch.setattr("tests.simulation.world.replay", lambda _entries, start: takeover.replay([], start))


def watermark_one_too_far(patch: Patch) -> None:
    """A commit passes the first record that is not done."""
    original = cast("property", Watermark.value).fget
    assert original is not None

    def value(self: Watermark) -> Offset:
        return Offset(original(self) + (1 if self._open else 0))

    patch.setattr(Watermark, "value", property(value))


def first_unpublished_one_too_far(patch: Patch) -> None:
    """A take-over does not look at the first outcome whose results are not acknowledged."""
    original = Lane.checkpoint

    def checkpoint(self: Lane) -> Draft | None:
        draft = original(self)
        if draft is not None:
            assert isinstance(draft.entry, Checkpoint)
            later = sorted(self.unpublished)[1:2]
            draft.entry = dataclasses.replace(draft.entry, unpublished=later[0] if later else None)
        return draft

    patch.setattr(Lane, "checkpoint", checkpoint)


def unknown_attempts_are_forgotten_at_take_over(patch: Patch) -> None:
    """Whoever takes over repeats what may have been sent as if it were new."""

    def replay(entries: Sequence[Placed], start: Offset) -> TakenOver:
        return dataclasses.replace(takeover.replay(entries, start), trials={})

    patch.setattr("tests.simulation.world.replay", replay)


def a_result_is_stamped_anew(patch: Patch) -> None:
    """Whoever publishes again says when it received the record itself."""

    def replay(entries: Sequence[Placed], start: Offset) -> TakenOver:
        taken = takeover.replay(entries, start)
        known = {
            offset: dataclasses.replace(each, received_at=Instant(each.received_at + 1))
            for offset, each in taken.known.items()
        }
        return dataclasses.replace(taken, known=known)

    patch.setattr("tests.simulation.world.replay", replay)


def same_person_in_one_send(patch: Patch) -> None:
    """A window does not look at who stands in it."""
    original = Windows.add_all

    def add_all(self: Windows, events: Iterable[Event], now: Now) -> None:
        for event in events:
            original(self, [event], now)
            for group in self._groups.values():
                for window in group.windows:
                    window.persons.clear()

    patch.setattr(Windows, "add_all", add_all)


def a_persons_next_message_does_not_wait(patch: Patch) -> None:
    """The next message is sent before the one before it has its outcome."""
    original = Door._wait

    def wait(self: Door, lane: Lane, event: Event) -> None:
        original(self, lane, event)
        self._windows.add_all([event], Now(event.received_at, event.arrived))

    patch.setattr(Door, "_wait", wait)


def claim_anew_that_forgets(patch: Patch) -> None:
    """What was to be written when an append failed is dropped."""
    original = Ledger.failed

    def failed(self: Ledger) -> None:
        original(self)
        self._out.clear()
        self._waiting.clear()

    patch.setattr(Ledger, "failed", failed)


def deadlines_are_not_looked_at_last(patch: Patch) -> None:
    """A request starts although a member's deadline came while it waited for its proof."""
    original = Delivery.last_look

    def last_look(self: Delivery, send: Send, now: Now) -> Withholding | None:
        said = original(self, send, now)
        return None if said is Withholding.EXPIRED else said

    patch.setattr(Delivery, "last_look", last_look)


def a_partition_that_left_is_not_noticed(patch: Patch) -> None:
    """Members of a partition that is gone settle with an answer that came later, beside its new owner."""
    patch.setattr("consumer.core.delivery._dropped", lambda _parts: set())
    original = Delivery.last_look

    def last_look(self: Delivery, send: Send, now: Now) -> Withholding | None:
        said = original(self, send, now)
        return None if said is Withholding.NOT_OURS else said

    patch.setattr(Delivery, "last_look", last_look)


MUTATIONS: Mapping[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        no_offset_check,
        post_before_the_proof,
        gap_not_read,
        checkpoint_without_open_attempts,
        returned_after_a_lost_answer,
        returned_closes_every_attempt,
        entries_count_wherever_they_stand,
        take_over_without_reading,
        watermark_one_too_far,
        first_unpublished_one_too_far,
        unknown_attempts_are_forgotten_at_take_over,
        a_result_is_stamped_anew,
        same_person_in_one_send,
        a_persons_next_message_does_not_wait,
        claim_anew_that_forgets,
        deadlines_are_not_looked_at_last,
        a_partition_that_left_is_not_noticed,
    )
}
