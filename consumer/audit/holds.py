"""Requests of held campaigns, by the time stamps of the topics. Written from what the control topic is said to hold.

Only a request that surely started counts: one that was answered, or whose `returned` says that it had begun. What
nobody can read, and what compaction has removed, accuses nobody.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from consumer.audit.entries import Attempt
from consumer.audit.findings import Findings, ViolationKind
from consumer.audit.reading import AuditedRecord

OBEYED_WITHIN_MS = 2_000


class AuditedHolds:
    """When each campaign was held, or everything, in milliseconds since 1970."""

    def __init__(self) -> None:
        self._changes: dict[int | None, list[tuple[int, bool]]] = {}
        """By campaign (None: everything), from when on it was held, or was not."""

    def take(self, records: Iterable[AuditedRecord]) -> None:
        """Take records of the control topic, in their order."""
        for record in records:
            key = (record.key or b"").decode(errors="replace")
            name = key.removeprefix("hold/")
            if name == key or not (name == "all" or name.isdecimal()):
                continue
            kind = _kind(record.value)
            if kind in ("hold", "release"):
                campaign = None if name == "all" else int(name)
                self._changes.setdefault(campaign, []).append((record.timestamp, kind == "hold"))

    def held_since(self, campaign: int, at_ms: int) -> int | None:
        """Return since when a campaign was held at an instant, by itself or with everything; None where it was not."""
        known = [since for since in (self._since(campaign, at_ms), self._since(None, at_ms)) if since is not None]
        return min(known, default=None)

    def _since(self, campaign: int | None, at_ms: int) -> int | None:
        changes = self._changes.get(campaign, [])
        index = bisect_right(changes, (at_ms, True)) - 1
        since = None
        while index >= 0 and changes[index][1]:
            since = changes[index][0]
            index -= 1
        return since


def _kind(value: bytes | None) -> str | None:
    try:
        fields: Any = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    kind = fields.get("kind") if isinstance(fields, Mapping) else None
    return kind if isinstance(kind, str) else None


class HeldRequests:
    """Holds a partition's attempts to the holds."""

    def __init__(self, holds: AuditedHolds, findings: Findings) -> None:
        self._holds = holds
        self._findings = findings
        self._suspects: dict[Attempt, tuple[int, str]] = {}
        """Attempts whose intent came too late: a record of theirs, and what to say of them."""
        self._latest: dict[str, Attempt] = {}
        """The latest of them, by send."""

    def intended(self, attempt: Attempt, campaign: int, offsets: Sequence[int], at_ms: int) -> None:
        """An intent stands in the journal since then."""
        self._latest.pop(attempt[0], None)
        since = self._holds.held_since(campaign, at_ms)
        if since is not None and at_ms > since + OBEYED_WITHIN_MS and offsets:
            late = f"campaign {campaign} was held {(at_ms - since) / 1000:.1f} s before attempt {attempt[1]} of {attempt[0]}"
            self._suspects[attempt] = (offsets[0], late)
            self._latest[attempt[0]] = attempt

    def returned(self, attempt: Attempt, *, started: bool) -> None:
        """An attempt delivered nothing; it may have started all the same."""
        if started:
            self._accuse(attempt)
        self._suspects.pop(attempt, None)

    def answered(self, send: str | None) -> None:
        """The platform has answered the latest attempt of a send."""
        attempt = self._latest.pop(send or "", None)
        if attempt is not None:
            self._accuse(attempt)

    def _accuse(self, attempt: Attempt) -> None:
        suspect = self._suspects.pop(attempt, None)
        if suspect is not None:
            offset, late = suspect
            self._findings.violated(ViolationKind.STARTED_WHILE_HELD, offset, late)
