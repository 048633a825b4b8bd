"""The platform's rules as patterns and names, for `wire.py` and `mistakes.py`. Never reads a body."""

import re
from datetime import datetime

ONE_PHONE = r"\+[0-9]{7,15}"
PHONE_E164 = re.compile(ONE_PHONE)
PHONES = re.compile(rf"(?:{ONE_PHONE}\n)*{ONE_PHONE}")
"""Matches all phones of a request at once, one a line: faster than one match a contact."""
PHONE_NUMBER = re.compile(r"(?=(?:[^0-9]*[0-9]){3,17}[^0-9]*\Z)\+?[0-9 ./()-]+")
"""3 to 17 digits (15 and an international prefix) with the usual separators; a plus only at the beginning."""
COUNTRY_CODE = re.compile(r"[0-9]{1,3}")
SCHEDULE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})")
CHARSETS = ("auto", "standard", "spanish")
SEND_TYPES = ("list", "all")
MAX_CAMPAIGN_ID = 2**63 - 1
DEFAULT_SCHEDULE_FIELD = "scheduleAt"
FIXED_SEND_FIELDS = frozenset({"campaignId", "flash", "charset", "sendTypeOverride", "originData", "contacts"})

DEPRECATED_FIELDS = frozenset({"contactId", "contactIdType", "contactType", "id", "idType", "identifier", "type"})
"""The platform's documentation does not name its three deprecated fields; these are the likely names. Other unknown fields
are refused as well, with another message."""


def is_instant(text: str) -> bool:
    """Return whether a text that matches `SCHEDULE` is a date and time that exists."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
