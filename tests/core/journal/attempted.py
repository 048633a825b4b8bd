"""Journals of attempts as owners write them, a model that counts what they say, and checkpoints of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from consumer.core.history import Fate, History
from consumer.core.journal.attempts import Attempts
from consumer.core.journal.entries import Checkpoint, Entry, Intent, Outcome, Returned, Settled, encode
from consumer.core.journal.entry_decode import decode
from consumer.core.outcome import Status, Verdict
from consumer.core.terms import Instant, JournalOffset, Offset, SendId

ACCEPTED = Verdict(status=Status.ACCEPTED, completed_at=Instant(0))


@dataclass
class Model:
    """Everything that was ever written, in its plainest form."""

    intents: dict[tuple[str, int], tuple[set[int], float]] = field(default_factory=dict)
    returned: dict[tuple[str, int], bool] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    unknown: dict[tuple[str, int], Fate] = field(default_factory=dict)
    """Attempts that have ended without anybody knowing what came of them: no entry says so."""

    def unsettled(self) -> set[int]:
        every = {offset for offsets, _ in self.intents.values() for offset in offsets}
        return every - self.settled

    def trials(self) -> dict[int, tuple[int, int]]:
        """Requests that were started or may have been, and those of unknown fate, of each record without outcome."""
        started: Counter[int] = Counter()
        lost: Counter[int] = Counter()
        for name, (offsets, _) in self.intents.items():
            for offset in offsets:
                if name not in self.returned:
                    lost[offset] += 1
                    started[offset] += 1
                elif self.returned[name]:
                    started[offset] += 1
        return {offset: (started[offset], lost[offset]) for offset in self.unsettled() if started[offset]}


@dataclass(frozen=True)
class Unknown:
    """No entry: its owner learns that it will never know what came of an attempt."""

    send_id: SendId
    attempt: int
    fate: Fate


@dataclass(frozen=True)
class TakenOver:
    """No entry either, but for the claim before it: another owner has read all that stands here."""


Happening = Entry | Unknown | TakenOver


@st.composite
def journals(draw: st.DrawFn) -> tuple[list[Entry], Model]:
    """A journal as owners write it: attempts again, returns, outcomes in parts, records that went on in another send."""
    happenings, model = draw(happened())
    return entries_of(happenings), model


def entries_of(happenings: list[Happening]) -> list[Entry]:
    return [each for each in happenings if not isinstance(each, Unknown | TakenOver)]


@st.composite
def happened(draw: st.DrawFn, fates: tuple[Fate, ...] = (Fate.LOST, Fate.ERRED)) -> tuple[list[Happening], Model]:
    """The same with what owners hear beside their entries, and changes of owner: neither can be returned after that."""
    model, entries = Model(), list[Happening]()
    sends: dict[str, set[int]] = {}
    for step in range(draw(st.integers(1, 30))):
        unclosed = [name for name in model.intents if name not in model.returned and name not in model.unknown]
        match draw(st.integers(0, 5)):
            case 0:
                offsets = draw(st.sets(st.integers(0, 9), min_size=1, max_size=4)) - model.settled
                if offsets:
                    name = f"s{len(sends)}"
                    sends[name] = offsets
                    intend(model, entries, name, 1, offsets, step)
            case 1 if sends:
                name = draw(st.sampled_from(sorted(sends)))
                left = sends[name] - model.settled
                attempt = 1 + sum(send == name for send, _ in model.intents)
                if left:
                    intend(model, entries, name, attempt, left, step)
            case 2 if unclosed:
                name, attempt = draw(st.sampled_from(unclosed))
                started = draw(st.booleans())
                model.returned[name, attempt] = started
                entries.append(Returned(send_id=SendId(name), attempt=attempt, started=started))
            case 4 | 5 if unclosed:
                entries.append(_nobody_will_know(draw, model, unclosed, fates))
            case 3 if sends:
                name = draw(st.sampled_from(sorted(sends)))
                left = sends[name] - model.settled
                if left:
                    done = draw(st.sets(st.sampled_from(sorted(left)), min_size=1))
                    model.settled |= done
                    entries.append(_outcome(name, sorted(done)))
            case _:
                pass
    return entries, model


def _nobody_will_know(
    draw: st.DrawFn, model: Model, unclosed: list[tuple[str, int]], fates: tuple[Fate, ...]
) -> Unknown | TakenOver:
    if draw(st.booleans()):
        model.unknown |= dict.fromkeys(unclosed, Fate.LOST)
        return TakenOver()
    name, attempt = draw(st.sampled_from(unclosed))
    fate = model.unknown[name, attempt] = draw(st.sampled_from(fates))
    return Unknown(SendId(name), attempt, fate)


def intend(model: Model, entries: list[Any], name: str, attempt: int, offsets: set[int], step: int) -> None:
    model.intents[name, attempt] = (set(offsets), float(step))
    entries.append(
        Intent(
            send_id=SendId(name),
            attempt=attempt,
            campaign_id=1,
            offsets=tuple(Offset(offset) for offset in sorted(offsets)),
            intended_at=Instant(float(step)),
        )
    )


def _outcome(name: str, offsets: list[int]) -> Outcome:
    settled = Settled(
        verdict=ACCEPTED,
        offsets=tuple(Offset(offset) for offset in offsets),
        received=tuple(Instant(0) for _ in offsets),
        fingerprints=b"",
    )
    return Outcome(send_id=SendId(name), settled=(settled,))


def applied(happenings: Sequence[Happening]) -> Attempts:
    attempts = Attempts()
    for each in happenings:
        match each:
            case Unknown():
                attempts.unknown(each.send_id, each.attempt, each.fate)
            case TakenOver():
                attempts.inherit(returnable=())
            case _:
                attempts.apply(each)
    return attempts


def counts(trials: dict[Offset, History], unsettled: set[int]) -> dict[int, tuple[int, int]]:
    return {offset: (each.attempts, each.lost) for offset, each in trials.items() if offset in unsettled}


def budgets(attempts: Attempts) -> dict[int, tuple[object, ...]]:
    """All that the next owner counts on."""
    return {
        offset: (one.attempts, one.counted, one.lost, one.answers_lost, one.doubt, one.first_tried_at)
        for offset, one in attempts.trials().items()
    }


def of_unsettled(attempts: Attempts, model: Model) -> dict[int, tuple[object, ...]]:
    unsettled = model.unsettled()
    return {offset: budget for offset, budget in budgets(attempts).items() if offset in unsettled}


def read_back(snapshot: Checkpoint) -> Checkpoint:
    """What the next owner reads of it."""
    entry = decode(JournalOffset(7), encode(snapshot, JournalOffset(7))).entry
    assert isinstance(entry, Checkpoint)
    return entry


def checkpoint(attempts: Attempts) -> Checkpoint:
    tried, doubted = attempts.snapshot()
    return Checkpoint(
        group="g",
        watermark=Offset(0),
        settled=(),
        open_attempts=attempts.returnable(),
        doubted=doubted,
        tried=tried,
        unpublished=None,
        mark=None,
    )
