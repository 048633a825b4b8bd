"""Fields of events that nobody reads, under a name like that of a field that is read. Judges no event, keeps no value.

Unknown fields are ignored, and a slip in a name with them: an event with `expireAt` has no deadline. Only records with
unknown fields come here: an ordinary one has none, for the shape that decodes it refuses them.
"""

from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, NamedTuple

from consumer.core.intake.fast_event import FastContact, FastEvent, FastSend
from consumer.core.platform.masking import masked

_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "": FastEvent.__struct_encode_fields__,
    "contact": FastContact.__struct_encode_fields__,
    "send": FastSend.__struct_encode_fields__,
}
"""Names that are read, by the object that they stand in."""

_ALIKE: Final = 0.81
"""Share of characters in common from which a name is a slip: `expireAt` has 0.94 in common with `expiresAt`, `sender` 0.8
with `send`."""

_MAX_NAME_CHARS: Final = 32  # the longest of ours has 17
_MAX_NAMES_KNOWN: Final = 1024
_MAX_NEW_NAMES_A_BATCH: Final = 16
"""Names that are looked at for the first time: comparing takes 50 microseconds each, and an upstream may have made up
a name for each of its records."""


def _flat(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


_FLAT: Final[Mapping[str, Mapping[str, str]]] = {
    place: {_flat(name): name for name in names} for place, names in _FIELDS.items()
}


class Lookalike(NamedTuple):
    """A field that is not read, and the one that was probably meant. Both are paths."""

    name: str
    """Masked, cut and without anything that is not printed: it is the upstream's word."""
    meant: str


class UnknownFields:
    """Collects lookalikes, batch by batch."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Lookalike | None] = {}
        self._found: Counter[Lookalike] = Counter()
        self._may_look_at = _MAX_NEW_NAMES_A_BATCH

    def look(self, document: Mapping[str, object]) -> None:
        """Look at the names in a decoded record."""
        self._look_at(document, "")
        for place in ("contact", "send"):
            inner = document.get(place)
            if isinstance(inner, dict):
                self._look_at(inner, place)

    def taken(self) -> Mapping[Lookalike, int]:
        """Return what was found since the last time, with how many records it stood in."""
        self._may_look_at = _MAX_NEW_NAMES_A_BATCH
        found, self._found = self._found, Counter()
        return found

    def _look_at(self, names: Mapping[str, object], place: str) -> None:
        for name in names.keys() - set(_FIELDS[place]):
            key = (place, name)
            if key not in self._known:
                if not self._may_look_at or len(name) > _MAX_NAME_CHARS:
                    continue
                self._may_look_at -= 1
                if len(self._known) >= _MAX_NAMES_KNOWN:
                    self._known.clear()
                self._known[key] = _lookalike(place, name)
            lookalike = self._known[key]
            if lookalike is not None:
                self._found[lookalike] += 1


def _lookalike(place: str, name: str) -> Lookalike | None:
    meant = _meant(place, _flat(name))
    if meant is None:
        return None
    shown = "".join(each if each.isprintable() else "?" for each in masked(name))
    return Lookalike(name=_path(place, shown), meant=meant)


def _meant(place: str, flat: str) -> str | None:
    """The path of the field that a name is nearly that of, here; or that it is the name of, elsewhere."""
    here = _FLAT[place]
    close = get_close_matches(flat, here, n=1, cutoff=_ALIKE) or [one for one in here if sorted(one) == sorted(flat)]
    if close:
        return _path(place, here[close[0]])
    return next((_path(other, names[flat]) for other, names in _FLAT.items() if flat in names), None)


def _path(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
