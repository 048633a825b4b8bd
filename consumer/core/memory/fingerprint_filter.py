"""Says at once of most fingerprints that they are not remembered. May say "perhaps" wrongly, never "no". Forgets by colour.

One byte a slot, one bit of it for each of eight colours. A segment gets the colour of its time, so that a "perhaps"
leads to an eighth of a partition's segments, and a colour can be wiped when its turn comes again.
"""

from collections.abc import Iterable

from consumer.core.memory.segments import first_words

COLOURS = 8
SLOTS_AN_ENTRY = 8
"""One colour's share of the entries fills a fiftieth of the slots."""
FEWEST_SLOTS, MOST_SLOTS = 1 << 10, 1 << 25
"""A power of two between these: bytes of memory, and touched only where something is remembered."""


class FingerprintFilter:
    """What the segments of this process may hold."""

    def __init__(self, max_entries: int) -> None:
        wanted = 1 << (SLOTS_AN_ENTRY * max_entries).bit_length()
        self._mask = max(FEWEST_SLOTS, min(wanted, MOST_SLOTS)) - 1
        self._slots = bytearray()
        self._share = max(1, max_entries // (COLOURS - 2))
        """Entries of one colour: the rest leaves time for what is remembered to be forgotten before its colour returns."""
        self._colour = 0
        self._entries = 0

    def next_colour(self, entries: int) -> int | None:
        """Return the colour that must be wiped before so many entries more are painted; None where none must."""
        if self._entries == 0 or self._entries + entries <= self._share:
            return None
        return (self._colour + 1) % COLOURS

    def wipe(self, colour: int) -> None:
        """Forget a colour, and paint with it from now on."""
        bit = 1 << colour
        self._slots[:] = self._slots.translate(bytes(value & ~bit for value in range(256)))
        self._colour, self._entries = colour, 0

    def paint(self, words: Iterable[int], entries: int) -> int:
        """Note what `entries` fingerprints begin with; return their colour."""
        if not self._slots:
            self._slots = bytearray(self._mask + 1)
        slots, mask, bit = self._slots, self._mask, 1 << self._colour
        for word in words:
            slots[word & mask] |= bit
        self._entries += entries
        return self._colour

    def perhaps(self, fingerprints: list[bytes]) -> list[tuple[int, int, int]]:
        """Return which of these may be remembered: index, word, and the colours in which it may be, as bits."""
        if not self._slots:
            return []
        slots, mask = self._slots, self._mask
        words = first_words(b"".join(fingerprints))
        hits = [index for index, word in enumerate(words) if slots[word & mask]]
        return [(index, words[index], slots[words[index] & mask]) for index in hits]

    def clear(self) -> None:
        """Forget everything, and give its memory back."""
        self._slots = bytearray()
        self._colour = self._entries = 0
