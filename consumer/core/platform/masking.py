"""Keeps phone numbers out of the platform's words. Owns what is masked and how long words may be; reads no answer."""

import re

import orjson

MASK = "***"

MAX_WORDS_BYTES = 2048
"""The contract's bound on a message, as JSON writes it; an item of `data.errors` as a whole is held to it too.

JSON makes six bytes of a control character: words that are cut before they are written may be six times as long after.
"""

MAX_CHARACTER_BYTES = 6
"""What JSON makes of one character at most: `\\u0001`."""

MAX_READ_CHARACTERS = 4 * MAX_WORDS_BYTES
"""Words are looked at so far: masking makes them shorter, and a platform that says a megabyte must not hold us up."""

# `\d` knows the digits of every script; the rest of what `str.isdigit` knows looks like an ornament: superscripts,
# subscripts, circles, brackets, full stops.
_ORNAMENTS = (
    r"\u00b2\u00b3\u00b9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490"
    r"\u24ea\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792"
    r"\U00010a40-\U00010a43\U00010e60-\U00010e68\U00011052-\U0001105a\U0001f100-\U0001f10a"
)
_DIGIT = rf"[\d{_ORNAMENTS}]"
_RUN = re.compile(rf"{_DIGIT}(?:[\W_]*{_DIGIT}){{6,}}")
"""Seven digits or more with no letter between them: blanks, dots, dashes, brackets, plus and whatever else is used to
write a phone number down, also the invisible marks that come along when one is copied from an address book."""


def masked(text: str) -> str:
    """`text` without runs of digits that could be a phone number, cut to `MAX_WORDS_BYTES` of JSON."""
    clean = _RUN.sub(MASK, text if len(text) <= MAX_READ_CHARACTERS else _beginning(text))
    if len(clean) * MAX_CHARACTER_BYTES <= MAX_WORDS_BYTES or _json_bytes(clean) <= MAX_WORDS_BYTES:
        return clean
    return _cut(clean)


def _json_bytes(text: str) -> int:
    """Bytes that JSON takes for `text`, without its quotes."""
    return len(orjson.dumps(text)) - 2


def _cut(text: str) -> str:
    """The longest beginning of `text` that JSON writes in `MAX_WORDS_BYTES`."""
    fits, too_long = 0, min(len(text), MAX_WORDS_BYTES + 1)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if _json_bytes(text[:middle]) <= MAX_WORDS_BYTES:
            fits = middle
        else:
            too_long = middle
    return text[:fits]


def _beginning(text: str) -> str:
    """What is looked at of a long text, up to a letter: half a phone number is not left standing at its end."""
    end = MAX_READ_CHARACTERS
    while end and not text[end - 1].isalpha():
        end -= 1
    return text[:end]
