"""Open windows: which events share a send, and when it closes. Never reads a clock, never sends.

A window belongs to one group and never holds a person twice: a person who stands in it already (the same one
from another partition) goes into a second window of the group.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from heapq import heapify, heappop, heappush

import msgspec

from consumer.core.event import Event, GroupKey
from consumer.core.policy import Policies
from consumer.core.terms import Now, Ticks

DEADLINE_MARGIN_SECONDS = 1.0
"""A window closes this long before a member's deadline: time for the journal, the queue and the connection."""

WINDOW_BYTES = 1_000
"""What a window is charged with, its group and its timer included: `tests/core/test_memory.py` holds it against that."""

LIMITS_KEPT = 1_024
"""Groups whose limits are known without asking anew: where windows hold one event each, a group is opened for each of them."""

STALE_TIMERS = 16
"""Timers of windows that closed otherwise, beyond as many as there are open windows."""

_NEVER = Ticks(float("inf"))


class CloseWhy(StrEnum):
    """Why a window closes."""

    FULL = "full"
    """It has as many contacts as a send may have."""
    BYTES = "bytes"
    """The next contact would make the body too large."""
    AGE = "age"
    """Its time is over."""
    DEADLINE = "deadline"
    """A member's deadline is near."""
    IMMEDIATE = "immediate"
    """A member is immediate, or an immediate event of the same person waits behind it."""
    SHUTDOWN = "shutdown"
    """The service is stopping."""


class Window(msgspec.Struct, eq=False):
    """Events of one group that wait for each other."""

    key: GroupKey
    campaign_id: int
    close_at: Ticks
    arrived: Ticks
    """When its first member did. A later one closes it earlier by a deadline, or by being immediate."""
    size_bytes: int
    by_person: dict[str, Event] = msgspec.field(default_factory=dict)
    """Its members, in the order of their coming: each is found, and taken out, without a search."""
    immediate: bool = False
    open: bool = True
    why: CloseWhy = CloseWhy.AGE
    """Why it was closed; while it is open, why it closes at `close_at`."""
    thinned: bool = False
    """Whether somebody was taken out since `arrived` was said."""

    @property
    def oldest_at(self) -> Ticks:
        """When the first of its present members arrived."""
        if self.thinned:
            self.arrived = min(event.arrived for event in self.by_person.values())
            self.thinned = False
        return self.arrived

    def holds(self, event: Event) -> bool:
        """Whether this very event is a member."""
        return self.by_person.get(event.person) is event


@dataclass(slots=True, eq=False)
class _Group:
    window_seconds: float
    max_contacts: int
    max_bytes: int
    overhead_bytes: int
    windows: list[Window] = field(default_factory=list)


class Windows:
    """All open windows of the process. Closed ones go to `closed`, in the order of their closing."""

    def __init__(self, policies: Policies, overhead_bytes: Callable[[GroupKey], int]) -> None:
        self._policies = policies
        self._overhead_bytes = overhead_bytes
        self._limits_of = lru_cache(maxsize=LIMITS_KEPT)(self._limits)
        self._groups: dict[GroupKey, _Group] = {}
        self._timers: list[tuple[Ticks, int, Window]] = []
        self._timer_count = 0
        self._open: dict[Window, None] = {}
        """All that are open, beside their groups: walking through groups takes several times as long."""
        self.closed: list[Window] = []

    def __len__(self) -> int:
        return len(self._open)

    @property
    def size_bytes(self) -> int:
        """Bytes charged to the buffer for all open windows, their events apart."""
        return len(self._open) * WINDOW_BYTES

    def add_all(self, events: Iterable[Event], now: Now) -> None:
        """Put events into windows of their groups; what that fills, or hurries, is closed."""
        groups, steady = self._groups, now.steady
        for event in events:
            group = groups.get(event.group) or self._open_group(event.group)
            size_bytes, person, windows = len(event.contact) + 1, event.person, group.windows
            if (
                windows
                and person not in (window := windows[0]).by_person
                and window.size_bytes + size_bytes <= group.max_bytes
            ):
                window.size_bytes += size_bytes
            else:
                window = self._window_for(event, group, size_bytes)
                window.size_bytes += size_bytes
            if event.arrived < window.arrived or event.expires_at is not None:
                self._hasten(window, group, event, now)
            members = window.by_person
            members[person] = event
            if event.immediate:
                window.immediate = True
                self._close(window, group, CloseWhy.IMMEDIATE)
            elif len(members) >= group.max_contacts:
                self._close(window, group, CloseWhy.FULL)
            elif window.close_at <= steady:
                self._close(window, group, window.why)

    def _hasten(self, window: Window, group: _Group, event: Event, now: Now) -> None:
        """Let a window close in time for this member of it."""
        window.arrived = min(window.arrived, event.arrived)
        close_at, why = event.arrived + group.window_seconds, CloseWhy.AGE
        if event.expires_at is not None:
            ends_at = now.steady + event.expires_at - now.wall - DEADLINE_MARGIN_SECONDS
            if ends_at < close_at:
                close_at, why = Ticks(ends_at), CloseWhy.DEADLINE
        if close_at < window.close_at:
            window.close_at, window.why = Ticks(close_at), why
            self._set_timer(window)

    def _open_group(self, key: GroupKey) -> _Group:
        group = self._groups[key] = _Group(*self._limits_of(key))
        return group

    def _limits(self, key: GroupKey) -> tuple[float, int, int, int]:
        policy = self._policies.of(key.campaign_id)
        return (policy.window_seconds, policy.max_contacts, policy.max_bytes, self._overhead_bytes(key))

    def _window_for(self, event: Event, group: _Group, size_bytes: int) -> Window:
        for window in group.windows:
            if event.person in window.by_person:
                continue
            if window.size_bytes + size_bytes <= group.max_bytes:
                return window
            self._close(window, group, CloseWhy.BYTES)
            break
        window = Window(event.group, event.group.campaign_id, _NEVER, _NEVER, group.overhead_bytes)
        group.windows.append(window)
        self._open[window] = None
        self._groups[event.group] = group
        return window

    def _set_timer(self, window: Window) -> None:
        """Have the window closed at its time. A timer that is out of date holds its members, so few may be left over."""
        if len(self._timers) > 2 * len(self._open) + STALE_TIMERS:
            self._timers = [timer for timer in self._timers if _is_due(timer)]
            heapify(self._timers)
        self._timer_count += 1
        heappush(self._timers, (window.close_at, self._timer_count, window))

    def _close(self, window: Window, group: _Group, why: CloseWhy) -> None:
        self._forget(window, group)
        window.why = why
        self.closed.append(window)

    def _forget(self, window: Window, group: _Group) -> None:
        window.open = False
        group.windows.remove(window)
        del self._open[window]
        if not group.windows:
            self._groups.pop(window.key, None)

    def hurry(self, event: Event) -> None:
        """Close the window that holds this event, wherever it is: somebody urgent waits for its outcome."""
        window = self.find(event)
        if window is not None:
            window.immediate = True
            self._close(window, self._groups[window.key], CloseWhy.IMMEDIATE)

    def find(self, event: Event) -> Window | None:
        """Return the open window that holds this event, None where none does."""
        group = self._groups.get(event.group)
        windows = () if group is None else group.windows
        return next((window for window in windows if window.holds(event)), None)

    def take_out(self, event: Event) -> bool:
        """Take an event out that does not go out; return whether it was in an open window."""
        window = self.find(event)
        if window is None:
            return False
        _take_out(event, window)
        if not window.by_person:
            self._forget(window, self._groups[window.key])
        return True

    def next_wake_at(self) -> Ticks | None:
        """Return when the next window is due, None where none is open."""
        timers = self._timers
        while timers and not _is_due(timers[0]):
            heappop(timers)
        return timers[0][0] if timers else None

    def close_due(self, now: Now) -> None:
        """Close every window whose time has come."""
        while (due_at := self.next_wake_at()) is not None and due_at <= now.steady:
            window = heappop(self._timers)[2]
            self._close(window, self._groups[window.key], window.why)

    def open_windows(self) -> Collection[Window]:
        """Return every open window, mostly in the order of their opening."""
        return self._open.keys()

    def most_contacts(self, window: Window) -> int:
        """Return the contacts at which an open window closes."""
        return self._groups[window.key].max_contacts

    def close_all(self) -> None:
        """Close everything: the service is stopping."""
        for group in list(self._groups.values()):
            for window in list(group.windows):
                self._close(window, group, CloseWhy.SHUTDOWN)

    def clear(self) -> None:
        """Forget everything: no partition is ours any more."""
        self._groups, self._timers, self._open = {}, [], {}
        self.closed = []

    def drop(self, events: Iterable[Event]) -> None:
        """Take events out whose partition is no longer ours; those that are in no window are none of our business."""
        elsewhere: set[int] = set()
        for event in events:
            window = self.find(event)
            if window is None:
                elsewhere.add(id(event))
                continue
            _take_out(event, window)
            if not window.by_person:
                self._forget(window, self._groups[window.key])
        for window in self.closed:
            for event in [event for event in window.by_person.values() if id(event) in elsewhere]:
                _take_out(event, window)
        self.closed = [window for window in self.closed if window.by_person]


def _is_due(timer: tuple[Ticks, int, Window]) -> bool:
    """Whether a timer is its window's, and the window still waits for it."""
    close_at, _, window = timer
    return window.open and window.close_at == close_at


def _take_out(event: Event, window: Window) -> None:
    del window.by_person[event.person]
    window.thinned = True
    window.size_bytes -= len(event.contact) + 1
