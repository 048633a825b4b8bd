"""Whether a number is one that its country can have, by length. Knows no person and no event; asks no one."""

from functools import lru_cache
from typing import Final

NUMBERS_REMEMBERED: Final = 65_536
"""People get several texts: a number that was met costs a look, a new one some 13 microseconds."""


@lru_cache(maxsize=NUMBERS_REMEMBERED)
def is_possible(phone: str) -> bool:
    """Whether `+` and digits may reach somebody from abroad: a country code that exists, and as many digits as it has.

    Says nothing about whether anybody has the number: numbering plans change faster than we are updated.
    """
    import phonenumbers  # 4 MiB and 15 ms, for whoever asks

    try:
        number = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return False
    reason = phonenumbers.is_possible_number_with_reason(number)
    return bool(reason == phonenumbers.ValidationResult.IS_POSSIBLE)
