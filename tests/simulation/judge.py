"""The promises, watched at every step and held against the end. Shares no code with the core: it reads raw bytes.

What happens in a world is told to it by the world's logs, group and platform; of the service it asks nothing.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tests.simulation.orders import Orders
from tests.simulation.rivals import RivalRules
from tests.simulation.scenario import Publication, Scenario

Place = tuple[int, int]
"""Partition number and offset of a record."""

Attempt = tuple[str, int]
"""A send, and the number of its attempt."""

LOST_ANSWER_REPEATS = 2

PROOF_SECONDS = 3.0
"""Between an intent's landing and its request: two for the proof to come, one for the proof to last."""


class Violation(AssertionError):  # noqa: N818  # what it is called everywhere else
    """A promise was broken."""


class ProcessEndedError(Violation):
    """A process of the service ended by itself: nothing was promised wrongly, and yet it must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is true of a record."""

    publication: Publication
    key: bytes | None

    @property
    def kind(self) -> str:
        """What kind of identity the contact has."""
        return self.publication.person.split()[0] + self.publication.spelling


class Judge:
    """Holds a world to the promises."""

    def __init__(self, scenario: Scenario, *, happened: Callable[[str], None]) -> None:
        self._scenario = scenario
        self._hold = scenario.hold
        self._happened = happened
        self.broken: Violation | None = None
        """The first promise that was broken: whoever broke it may have swallowed what was raised."""
        self.documents: dict[Place, Document] = {}
        self._by_reference: dict[str, Place] = {}
        self._excused: Counter[int] = Counter()
        """Records below these were removed before they were read, or passed over on an operator's word."""
        self._forgetful: set[int] = set()
        self.abandoned: set[int] = set()
        """Partitions whose journal was deleted: they stop, and what becomes of their records nobody can know."""
        self._unsettled: set[Place] = set()
        self.results: dict[Place, dict[str, Any]] = {}
        self.letters: set[Place] = set()
        self.texts: Counter[Place] = Counter()
        self.starts: Counter[Place] = Counter()
        self.requests = 0
        self._furthest: dict[tuple[int, int, str], int] = {}
        self.intents: dict[Place, list[tuple[float, str]]] = {}
        """When each counting intent landed, and which process it was of."""
        self._open: dict[Place, dict[Attempt, str]] = {}
        """Attempts that no counting entry has closed, and who intended them."""
        self._unknown: Counter[tuple[str, Place]] = Counter()
        """Attempts that a process has heard the end of, without learning their fate."""
        self._erred: Counter[Place] = Counter()
        """Attempts that were answered, and whose fate is unknown all the same."""
        self.outcomes: dict[Place, str] = {}
        self.claimed: set[int] = set()
        """Partitions whose journals belong to our group."""
        self._owner: dict[int, str] = {}
        self._snapshots: dict[int, list[tuple[int, float, int]]] = {}
        self._held: dict[str, set[Place]] = {}
        self._read_to: Counter[int] = Counter()
        self.orders = Orders(self._insist)
        self.rivals = RivalRules(self._insist)

    def _insist(self, holds: object, what: str, *about: object) -> None:
        """Complain where a promise does not hold."""
        if not holds:
            raise self.broken_by(what, *about)

    def broken_by(self, what: str, *about: object) -> Violation:
        """Note that a promise is broken."""
        violation = Violation(what, *about)
        self.broken = self.broken or violation
        self._happened(f"PROMISE BROKEN: {what} {about}")
        return violation

    # ---------------------------------------------------------------- events

    def recorded(self, place: Place, publication: Publication, key: bytes | None) -> None:
        """A record stands in the events topic."""
        self.documents[place] = Document(publication=publication, key=key)
        if publication.reference:
            self._by_reference[publication.reference] = place
        if place[1] >= self._excused[place[0]] and place[0] not in self.abandoned:
            self._unsettled.add(place)

    def removed(self, number: int, below: int) -> None:
        """Records below an offset need no outcome any more: they are gone, or somebody said to go on behind them."""
        self._excused[number] = max(self._excused[number], below)
        self._unsettled = {place for place in self._unsettled if not self._is_excused(place)}

    def _is_excused(self, place: Place) -> bool:
        return place[1] < self._excused[place[0]]

    def forgets(self, number: int) -> None:
        """What a journal said of event IDs long ago is gone."""
        self._forgetful.add(number)

    def abandon(self, number: int) -> None:
        """A journal is gone, and with it all that was known of its partition."""
        self.abandoned.add(number)
        self._unsettled = {place for place in self._unsettled if place[0] != number}
        self._held = {process: {place for place in held if place[0] != number} for process, held in self._held.items()}

    # ---------------------------------------------------------------- the journal

    def journaled(self, number: int, at: int, value: bytes, time: float) -> None:
        """An entry has landed."""
        if number in self.abandoned:
            return
        entry: dict[str, Any] = orjson.loads(value)
        kind = entry["kind"]
        if kind == "claim":
            self._owner[number] = entry["process"]
            self.claimed.add(number)
        if entry["at"] != at:
            return
        if kind == "intent":
            for offset in _summed(entry["offsets"]):
                self.intents.setdefault((number, offset), []).append((time, self._owner[number]))
                attempt = (entry["send"], entry["attempt"])
                self._open.setdefault((number, offset), {})[attempt] = self._owner[number]
        elif kind == "returned":
            self._close(number, (entry["send"], entry["attempt"]))
        elif kind == "outcome":
            self._settles(number, entry["settled"])
        elif kind == "checkpoint":
            self._passes(number, entry["watermark"], "a checkpoint")
            unpublished = entry["unpublished"]
            needed = at if unpublished is None else min(at, unpublished)
            self._snapshots.setdefault(number, []).append((at, time, needed))

    def _close(self, number: int, attempt: Attempt) -> None:
        for (partition, _), attempts in self._open.items():
            if partition == number:
                attempts.pop(attempt, None)

    def _settles(self, number: int, items: Sequence[dict[str, Any]]) -> None:
        for item in items:
            for offset in _summed(item["offsets"]):
                place = (number, offset)
                self._insist(place in self.documents, "an outcome of no record", place)
                self._insist(place not in self.outcomes, "a record has two outcomes", place)
                self.outcomes[place] = item["status"]

    def journal_needed_from(self, number: int, before: float) -> int:
        """Return where the part of a journal begins that somebody may need, who reads the snapshots before a time."""
        old = [needed for _, time, needed in self._snapshots.get(number, []) if time < before]
        return old[-1] if old else 0

    # ---------------------------------------------------------------- requests

    def request_started(self, process: str, request: dict[str, Any], wall: float, time: float) -> None:
        """A request's first byte goes out; `wall` is the sender's own clock."""
        self.requests += 1
        places = [self._by_reference[contact["customData"]] for contact in request["contacts"]]
        members = [self.documents[place] for place in places]
        truths = [member.publication for member in members]
        persons = [truth.person for truth in truths]  # however they are spelled
        self._insist(len(set(persons)) == len(persons), "a person stands twice in one request", places)
        groups = {(one.publication.campaign, one.publication.options, one.kind) for one in members}
        self._insist(len(groups) == 1, "two groups share a request", places)
        self._insist(groups.pop()[0] == request["campaignId"], "a request of another campaign", places)
        for place, truth in zip(places, truths, strict=True):
            if place[0] in self.abandoned:
                continue
            late = truth.expires_at is not None and wall >= truth.expires_at
            self._insist(not late, "a request starts at or after a member's deadline", place)
            self.orders.starts(place, truth.campaign, time)
            self._is_intended(process, place, time)
            self._keeps_order(process, place, truth)
            self._is_within_budget(process, place, truth)

    def _is_intended(self, process: str, place: Place, time: float) -> None:
        self.starts[place] += 1
        intents = self.intents.get(place, [])
        self._insist(self.starts[place] <= len(intents), "a request starts before its intent stands", place)
        landed, owner = intents[-1]
        if owner == process:
            self._insist(time - landed <= PROOF_SECONDS, "a request starts on an old proof", place, time - landed)
        else:
            mine = [landed for landed, owner in intents if owner == process]
            self._insist(mine, "a request of a process that never owned its records", place)
            self._insist(time - mine[-1] <= PROOF_SECONDS, "a zombie's request on an old proof", place, time - mine[-1])

    def _is_within_budget(self, process: str, place: Place, truth: Publication) -> None:
        """Hold an owner to the bounds on repeats, whoever made the attempts before."""
        if self._owner.get(place[0]) != process:
            return
        owners = list(self._open[place].values())
        own = owners.count(process)  # one of them is this request's; others may never have begun
        before = len(owners) - own + min(own - 1, self._unknown[process, place])
        self._insist(
            before < self._scenario.max_attempts, "more attempts of unknown fate than attempts are allowed", place
        )
        repeats = 0 if truth.campaign in self._hold else LOST_ANSWER_REPEATS
        lost = before - self._erred[place]
        self._insist(lost <= repeats, "repeated more often than answers may be lost", place, lost)

    def unknown(self, process: str, request: dict[str, Any], *, erred: bool) -> None:
        """A process heard the end of a request whose fate is unknown: it was answered with an error, or not at all."""
        for place in [self._by_reference[contact["customData"]] for contact in request["contacts"]]:
            self._unknown[process, place] += 1
            self._erred[place] += erred

    def _keeps_order(self, process: str, place: Place, truth: Publication) -> None:
        """Hold an owner to the order; a zombie's last second is marked, not ordered."""
        key = (place[0], truth.campaign, truth.person)  # however it is spelled
        if self._owner.get(place[0]) == process:
            self._insist(self._furthest.get(key, -1) <= place[1], "a person's messages change their order", place)
        self._furthest[key] = max(self._furthest.get(key, -1), place[1])

    def texted(self, reference: str) -> None:
        """A message reached its person."""
        place = self._by_reference[reference]
        self.texts[place] += 1
        if place[0] in self.abandoned:
            return
        holds = self.documents[place].publication.campaign in self._hold
        self._insist(
            not holds or self.texts[place] == 1, "a message was repeated although the policy is to hold", place
        )

    # ---------------------------------------------------------------- results

    def result_published(self, partition: int, key: bytes | None, value: bytes) -> None:
        """A result is in the results topic."""
        result: dict[str, Any] = orjson.loads(value)
        source = result["source"]
        place = (source["partition"], source["offset"])
        self._insist(place in self.documents, "a result of no record", place)
        self._insist(source["topic"] == self._scenario.topic_of(place[0]), "a result with another topic", place)
        document = self.documents[place]
        if place[0] in self.abandoned:
            return
        self._insist(partition == place[0] and key == document.key, "a result under another key", place)
        self._insist(place in self.outcomes, "a result without an outcome in the journal", place)
        self._insist(self.outcomes[place] == result["status"], "a result other than its outcome", place)
        known = self.results.setdefault(place, result)
        differing = [name for name in result if known.get(name) != result[name]]
        self._insist(not differing, "a record has two results", place, differing)
        if document.publication.valid:
            self._insist(result["externalReference"] == document.publication.reference, "a result of another", place)
        self._unsettled.discard(place)

    def dead_letter_published(self, value: bytes | None, headers: dict[str, bytes]) -> None:
        """A dead letter is in its topic."""
        place = (int(headers["dlq-partition"]), int(headers["dlq-offset"]))
        document = self.documents[place]
        self._insist(not document.publication.valid, "a dead letter of a valid event", place)
        self._insist(value == document.publication.value, "a dead letter with another value", place)
        self.letters.add(place)

    def committed(self, number: int, offset: int) -> None:
        """The group's offset was committed by a member."""
        self._passes(number, offset, "a commit")

    def _passes(self, number: int, offset: int, what: str) -> None:
        if number in self.abandoned:
            return
        for place, document in self.documents.items():
            if place[0] == number and place[1] < offset and not self._is_excused(place):
                self._insist(place in self.results, f"{what} passes a record without result", place, offset)
                if not document.publication.valid:
                    self._insist(place in self.letters, f"{what} passes a record without dead letter", place, offset)

    # ---------------------------------------------------------------- memory

    def handed_out(self, process: str, number: int, offsets: Iterable[int]) -> None:
        """A process has taken these from its client."""
        offsets = list(offsets)
        self._read_to[number] = max(self._read_to[number], *offsets)
        if number in self.abandoned or self._scenario.read_ahead:
            return  # of an abandoned one's results no note is taken any more, so nobody could say what it holds
        held = self._held.setdefault(process, set())
        held.update(place for offset in offsets if (place := (number, offset)) not in self.results)
        bound = self._scenario.buffer_events
        self._insist(len(held) <= bound, "a process holds more records than its buffer may", len(held), bound)

    def acknowledged(self, process: str, values: Sequence[bytes]) -> None:
        """A process knows that these results are published."""
        held = self._held.get(process, set())
        for value in values:
            source = orjson.loads(value)["source"]
            held.discard((source["partition"], source["offset"]))

    def let_go(self, process: str, number: int) -> None:
        """A process has dropped, or begins anew with, a partition."""
        held = self._held.get(process)
        if held:
            self._held[process] = {place for place in held if place[0] != number}

    # ---------------------------------------------------------------- standing still

    def unsettled_in(self, number: int) -> bool:
        """Return whether a partition has records without result, read or not."""
        return any(place[0] == number for place in self._unsettled)

    def waits_for_a_person(self, number: int) -> bool:
        """Return whether the oldest record without result of a partition is of a campaign that is held."""
        oldest = min((place for place in self._unsettled if place[0] == number), default=None)
        return oldest is not None and self.orders.is_held(self.documents[oldest].publication.campaign)

    def stand_of(self, number: int) -> tuple[int, ...]:
        """Return what changes when a partition moves: how far it was read, its outcomes and its results."""
        outcomes = sum(place[0] == number for place in self.outcomes)
        return (self._read_to[number], outcomes, sum(place[0] == number for place in self.results))

    # ---------------------------------------------------------------- the end

    def is_settled(self, *, but: Collection[int]) -> bool:
        """Return whether every record has its result, those of some campaigns apart."""
        return all(self.documents[place].publication.campaign in but for place in self._unsettled)

    def has_given_their_due(self, *, but: Collection[int]) -> None:
        """Complain of a record that still waits although it need not."""
        waiting = [place for place in self._unsettled if self.documents[place].publication.campaign not in but]
        self._insist(not waiting, "an event waits for others that do not get through", sorted(waiting))

    def everything_is_settled(self) -> bool:
        """Return whether every record has its result."""
        return not self._unsettled

    def final(self) -> None:
        """Hold the whole world against the promises."""
        self._insist(self.everything_is_settled(), "records without result", sorted(self._unsettled))
        names = {result["resultId"] for result in self.results.values()}
        self._insist(len(names) == len(self.results), "two results share an ID")
        sent: dict[tuple[int, str], Place] = {}
        for place, document in self.documents.items():
            truth = document.publication
            if place[0] in self.abandoned:
                continue
            if place in self.results:
                self._fits(place, document, self.results[place])
            if self._is_excused(place) or place[0] in self._forgetful or not self.texts[place]:
                continue
            identity = (place[0], truth.identity)
            self._insist(identity not in sent, "two records of one event ID were texted", place, sent.get(identity))
            sent[identity] = place

    def _fits(self, place: Place, document: Document, result: dict[str, Any]) -> None:
        """Compare a result with what really happened."""
        truth, status, marked = document.publication, result["status"], result["possibleDuplicate"]
        count, intents = self.texts[place], len(self.intents.get(place, []))
        self._insist((status == "invalid") != truth.valid, "valid and invalid are mixed up", place)
        self._insist((result["detail"] is None) == truth.valid, "a detail of no invalid record, or none of one", place)
        if status == "invalid":
            self._insist(place in self.letters, "an invalid record without dead letter", place)
        if status == "accepted":
            self._insist(count >= 1, "accepted, and never texted", place)
            self._insist(count == 1 or marked, "texted more than once, and not marked", place, count)
        elif status != "in_doubt":
            self._insist(count == 0, f"{status}, and was texted", place)
        if status == "duplicate":
            self._insist(result["related"]["offset"] < place[1], "an event repeats a later one", place)
        if marked:
            self._insist(status == "accepted" and intents > 1, "marked without a reason", place)
            self._insist(truth.campaign not in self._hold, "marked although the policy is to hold", place)
        if status == "in_doubt":
            self._insist(intents > 0, "in doubt without a reason", place)
        self.orders.fits(place, truth.campaign, result)
        self.rivals.fits(place, result, {at: known.publication for at, known in self.documents.items()})
        self._insist(result["attempts"] <= intents, "more attempts than intents", place)


def _summed(steps: Iterable[int]) -> list[int]:
    """Return offsets that are written as steps from one to the next."""
    offsets, offset = [], 0
    for step in steps:
        offset += step
        offsets.append(offset)
    return offsets
