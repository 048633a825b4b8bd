"""Keeps phone numbers out of the platform's words. Owns what is masked and how long words may be; reads no answer."""

import re

MASK = "***"

MAX_WORDS_BYTES = 2048
"""The contract's bound on a message; an item of `data.errors` as a whole is held to it too."""

# Digits of every script, and those that only look like ornaments: superscripts, subscripts, circled ones.
_DIGIT = (
    r"[\d\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u24ea\u24f5-\u24fd\u2776-\u277e\u2780-\u2792]"
)
_RUN = re.compile(rf"{_DIGIT}(?:[\W_]*{_DIGIT}){{6,}}")
"""Seven digits or more with no letter between them: blanks, dots, dashes, brackets, plus and whatever else is used to
write a phone number down, also the invisible marks that come along when one is copied from an address book."""


def masked(text: str) -> str:
    """`text` without runs of digits that could be a phone number, cut to `MAX_WORDS_BYTES` of UTF-8."""
    clean = _RUN.sub(MASK, text)
    if len(clean) * 4 <= MAX_WORDS_BYTES:  # no character takes more than 4 bytes
        return clean
    return clean.encode()[:MAX_WORDS_BYTES].decode(errors="ignore")
