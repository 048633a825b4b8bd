"""The armed faults: which requests they match, and how often they fired. Never touches a connection."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from msgspec import UNSET

from consumer.sandbox.facts import FaultState
from consumer.sandbox.faults import Capacity, Deciding, Fault, Hold, ItemErrors, Latency, as_document
from consumer.sandbox.people import CODE_PREFIX, Person, person_named
from consumer.sandbox.wire import RequestedContact


@dataclass(frozen=True, slots=True, kw_only=True)
class FiredFaults:
    """What the faults do to one request. `positions` are the contacts that match `fault`, if it names contacts."""

    latency_seconds: float = 0.0
    held_by: tuple[asyncio.Event, ...] = ()
    """Events that the answer waits for: each is set when a hold is removed."""
    name: str | None = None
    fault: Deciding | None = None
    positions: tuple[int, ...] = ()


NOTHING_FIRED = FiredFaults()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the sandbox has to do when a request comes."""

    now: float
    in_flight: Callable[[int | None], int]
    """How many other requests are in flight: of a campaign, or of all."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Armed:
    """One fault with its counts, its random numbers and its parsed conditions."""

    name: str
    fault: Fault
    matched: int = 0
    fired: int = 0
    removed: asyncio.Event = field(default_factory=asyncio.Event)
    left: float | None = None
    """How many more requests a capacity by time takes now, as of `left_at`; None before the first one."""
    left_at: float = 0.0
    rng: Random = field(init=False)
    persons: frozenset[Person] = field(init=False)
    codes: frozenset[str] = field(init=False)
    references: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = Random(self.fault.seed)
        self.persons = frozenset(person_named(text) for text in _texts(self.fault.person))
        self.codes = frozenset(
            person.removeprefix(CODE_PREFIX) for person in self.persons if person.startswith(CODE_PREFIX)
        )
        self.references = frozenset(_texts(self.fault.reference))

    def positions(self, contacts: Sequence[RequestedContact], persons: Sequence[Person]) -> tuple[int, ...]:
        """Return the indices of the contacts that match."""
        if self.fault.person is not None and not self.codes and self.persons.isdisjoint(persons):
            return ()
        return tuple(
            position
            for position, (contact, person) in enumerate(zip(contacts, persons, strict=True))
            if self._fits(contact, person)
        )

    def _fits(self, contact: RequestedContact, person: Person) -> bool:
        if self.fault.reference is not None and contact.custom_data not in self.references:
            return False
        return (
            self.fault.person is None
            or person in self.persons
            or (contact.external_code is not UNSET and contact.external_code in self.codes)
        )

    def takes(self, fault: Capacity, load: Load) -> bool:
        """Return whether a capacity takes one more request now; one that it takes is counted."""
        if fault.at_once is not None and load.in_flight(fault.campaign) >= fault.at_once:
            return False
        if fault.per_second is None:
            return True
        left = fault.per_second if self.left is None else self.left + (load.now - self.left_at) * fault.per_second
        self.left, self.left_at = min(left, fault.per_second), load.now
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True

    def fires_now(self, load: Load) -> bool:
        """Count a request that matches, and return whether the fault fires for it."""
        self.matched += 1
        if isinstance(self.fault, Capacity) and self.takes(self.fault, load):
            return False
        if self.matched <= self.fault.after or (self.fault.times is not None and self.fired >= self.fault.times):
            return False
        if self.fault.probability < 1.0 and self.rng.random() >= self.fault.probability:
            return False
        self.fired += 1
        return True


class ArmedFaults:
    """All armed faults, in the order in which they are evaluated."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._numbered = 0

    def arm(self, faults: Iterable[Fault]) -> list[str]:
        """Add faults after the armed ones; one with the name of an armed fault replaces it. Return their names."""
        names = []
        for fault in faults:
            self._numbered += 1
            armed = _Armed(name=fault.name or f"{fault.fault}-{self._numbered}", fault=fault)
            names.append(armed.name)
            for index, old in enumerate(self._armed):
                if old.name == armed.name:
                    self._armed[index] = armed
                    old.removed.set()
                    break
            else:
                self._armed.append(armed)
        return names

    def disarm(self, name: str | None = None) -> int:
        """Remove one fault, or all; return how many."""
        removed = [armed for armed in self._armed if name in {None, armed.name}]
        self._armed = [armed for armed in self._armed if armed not in removed]
        for armed in removed:
            armed.removed.set()
        return len(removed)

    def states(self) -> list[FaultState]:
        """Return every armed fault with its counts."""
        return [
            FaultState(name=armed.name, matched=armed.matched, fired=armed.fired, fault=as_document(armed.fault))
            for armed in self._armed
        ]

    def fire(
        self, campaign_id: int, contacts: Sequence[RequestedContact], persons: Sequence[Person], load: Load
    ) -> FiredFaults:
        """Return what happens to this request: all delays that fire, and the first other fault that does."""
        return self._fire(campaign_id, contacts, persons, load) if self._armed else NOTHING_FIRED

    def fire_unread(self, load: Load) -> FiredFaults:
        """Return what happens to a request whose body is not valid: by faults that ask nothing about the body."""
        return self._fire(None, (), (), load) if self._armed else NOTHING_FIRED

    def _fire(
        self, campaign_id: int | None, contacts: Sequence[RequestedContact], persons: Sequence[Person], load: Load
    ) -> FiredFaults:
        latency_seconds = 0.0
        held_by: list[asyncio.Event] = []
        decided = NOTHING_FIRED
        for armed in self._armed:
            fault = armed.fault
            if fault.campaign not in {None, campaign_id} or (campaign_id is None and isinstance(fault, ItemErrors)):
                continue
            if decided.fault is not None and not isinstance(fault, Latency | Hold):
                continue
            positions = armed.positions(contacts, persons) if fault.names_contacts else ()
            if (fault.names_contacts and not positions) or not armed.fires_now(load):
                continue
            if isinstance(fault, Latency):
                latency_seconds += _seconds_of(fault, armed.rng)
            elif isinstance(fault, Hold):
                held_by.append(armed.removed)
            else:
                decided = FiredFaults(name=armed.name, fault=fault, positions=positions)
        if isinstance(decided.fault, Capacity):
            return decided
        return replace(decided, latency_seconds=latency_seconds, held_by=tuple(held_by))


def _seconds_of(fault: Latency, rng: Random) -> float:
    return rng.uniform(*fault.seconds) if isinstance(fault.seconds, tuple) else fault.seconds


def _texts(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value
