"""Faults as they are armed: which requests they fit, how often they struck. Never touches a connection."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from msgspec import UNSET

from consumer.sandbox.facts import FaultState
from consumer.sandbox.faults import Deciding, Fault, Hold, Latency, as_document
from consumer.sandbox.people import CODE_PREFIX, Person, person_named
from consumer.sandbox.wire import RequestedContact


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """What the faults do to one request. `positions` are the contacts that `fault` asked for, if it asked for any."""

    latency_seconds: float = 0.0
    held_by: tuple[asyncio.Event, ...] = ()
    """What the answer waits for: each is set when a hold is removed."""
    name: str | None = None
    fault: Deciding | None = None
    positions: tuple[int, ...] = ()


NO_STRIKE = Strike()


@dataclass(slots=True, kw_only=True, eq=False)
class _Armed:
    """One fault with its counts, its dice and what it looks for."""

    name: str
    fault: Fault
    matched: int = 0
    fired: int = 0
    removed: asyncio.Event = field(default_factory=asyncio.Event)
    dice: Random = field(init=False)
    persons: frozenset[Person] = field(init=False)
    codes: frozenset[str] = field(init=False)
    references: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.dice = Random(self.fault.seed)
        self.persons = frozenset(person_named(text) for text in _texts(self.fault.person))
        self.codes = frozenset(
            person.removeprefix(CODE_PREFIX) for person in self.persons if person.startswith(CODE_PREFIX)
        )
        self.references = frozenset(_texts(self.fault.reference))

    def positions(self, contacts: Sequence[RequestedContact], persons: Sequence[Person]) -> tuple[int, ...]:
        """Where the contacts stand that it looks for."""
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

    def strikes_now(self) -> bool:
        """Count one request that it fits, and say whether it is struck."""
        self.matched += 1
        if self.matched <= self.fault.after or (self.fault.times is not None and self.fired >= self.fault.times):
            return False
        if self.fault.probability < 1.0 and self.dice.random() >= self.fault.probability:
            return False
        self.fired += 1
        return True


class ArmedFaults:
    """All faults in force, in the order in which they are asked."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._numbered = 0

    def arm(self, faults: Iterable[Fault]) -> list[str]:
        """Put faults behind those in force; one with the name of another takes its place. Returns their names."""
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
        """Take away one fault, or all; returns how many."""
        removed = [armed for armed in self._armed if name in {None, armed.name}]
        self._armed = [armed for armed in self._armed if armed not in removed]
        for armed in removed:
            armed.removed.set()
        return len(removed)

    def states(self) -> list[FaultState]:
        """Every fault in force with its counts."""
        return [
            FaultState(name=armed.name, matched=armed.matched, fired=armed.fired, fault=as_document(armed.fault))
            for armed in self._armed
        ]

    def strike(self, campaign_id: int, contacts: Sequence[RequestedContact], persons: Sequence[Person]) -> Strike:
        """What happens to this request: every delay that strikes, and the first other fault that does."""
        if not self._armed:
            return NO_STRIKE
        latency_seconds = 0.0
        held_by: list[asyncio.Event] = []
        decided = NO_STRIKE
        for armed in self._armed:
            fault = armed.fault
            if fault.campaign not in {None, campaign_id}:
                continue
            if decided.fault is not None and not isinstance(fault, Latency | Hold):
                continue
            positions = armed.positions(contacts, persons) if fault.names_contacts else ()
            if (fault.names_contacts and not positions) or not armed.strikes_now():
                continue
            if isinstance(fault, Latency):
                latency_seconds += _drawn(fault, armed.dice)
            elif isinstance(fault, Hold):
                held_by.append(armed.removed)
            else:
                decided = Strike(name=armed.name, fault=fault, positions=positions)
        return replace(decided, latency_seconds=latency_seconds, held_by=tuple(held_by))


def _drawn(fault: Latency, dice: Random) -> float:
    return dice.uniform(*fault.seconds) if isinstance(fault.seconds, tuple) else fault.seconds


def _texts(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value
