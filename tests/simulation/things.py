"""What a world is made of: records, processes, and what is under way. Decides nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field

from consumer.core.pipeline import Pipeline
from consumer.core.terms import Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of the events topic."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(eq=False)
class Owner:
    """One process. Frozen, it does nothing, and finds out afterwards."""

    name: str
    pipeline: Pipeline
    positions: dict[Partition, int] = field(default_factory=dict)
    frozen_until: float = 0.0
    skew: float = 0.0
    """How far its wall clock is off."""
    alive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Something that is under way."""

    at: float
    """Not before this."""
    owner: Owner | None
    """The process that has to be awake for it."""
    act: Callable[[], None]
