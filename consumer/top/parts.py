"""What lag consists of, drawn: a bar of parts and its legend. Knows no terminal."""

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from rich.text import Text


class LagPart(NamedTuple):
    """How a part is drawn: a mark that can be told from the others without colours, in any encoding a terminal has."""

    mark: str
    plain: str
    style: str
    words: str


LAG_PARTS: Final[Mapping[str, LagPart]] = {
    "backlog": LagPart("░", ".", "white", "unread"),
    "parked": LagPart("▁", "p", "cyan", "parked"),
    "in_window": LagPart("▒", "w", "blue", "in windows"),
    "queued": LagPart("▓", "q", "yellow", "queued"),
    "in_flight": LagPart("█", "f", "green", "in flight"),
    "blocked": LagPart("▚", "x", "red", "blocked"),
    "settling": LagPart("▄", "s", "magenta", "settling"),
}
"""In the order of an event's way."""


def bar(parts: Mapping[str, int] | None, *, whole: int, width: int, is_plain: bool) -> Text:
    """Return a bar of parts, `whole` of which fill the width; every part that is not empty is seen."""
    counts = {name: count for name in LAG_PARTS if (count := (parts or {}).get(name) or 0) > 0}
    total = sum(counts.values())
    length = min(width, max(len(counts), round(width * total / max(whole, 1))))
    ends = [round(length * upto / total) for upto in accumulate(counts.values(), initial=0)] if counts else [0]
    marks = {name: end - start for name, (start, end) in zip(counts, pairwise(ends), strict=True)}
    for name in [name for name, count in marks.items() if not count]:
        marks[max(marks, key=marks.__getitem__)] -= 1
        marks[name] = 1
    drawn = Text(no_wrap=True)
    for name, count in marks.items():
        part = LAG_PARTS[name]
        drawn.append((part.plain if is_plain else part.mark) * count, style=part.style)
    return drawn


def legend(parts: Mapping[str, int], *, is_plain: bool) -> Text:
    """Return the parts that are not empty, with their marks and counts."""
    line = Text()
    for name, part in LAG_PARTS.items():
        if count := parts.get(name) or 0:
            line.append("   " if line else "")
            line.append(part.plain if is_plain else part.mark, style=part.style)
            line.append(f" {part.words} {count:,}")
    return line
