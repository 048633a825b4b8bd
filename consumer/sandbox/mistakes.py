"""Explains what is wrong with a refused body, field by field. Never decides whether a body is refused.

A mistake names a field and a rule, never a value of the request, so that it can be logged anywhere.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from consumer.sandbox import rules

MAX_MISTAKES = 10
"""The most mistakes that a message lists; the others are counted."""

Check = Callable[[Any], str | None]
"""Returns the rule that a value breaks, or None."""


class BrokenRule(msgspec.Struct, frozen=True):
    """One broken rule, named so that a person can act on it."""

    field: str
    rule: str


def find_mistakes(body: bytes, *, schedule_field: str) -> tuple[int, list[BrokenRule]]:
    """Return the status to answer (400: unreadable, 422: breaks rules) and the rules that `body` breaks."""
    try:
        document = json.loads(body.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        return 400, [BrokenRule(field="body", rule=f"not UTF-8 (byte {error.start})")]
    except json.JSONDecodeError as error:
        return 400, [
            BrokenRule(field="body", rule=f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})")
        ]
    except (ValueError, RecursionError) as error:
        return 400, [BrokenRule(field="body", rule=f"not JSON: {error}")]
    if not isinstance(document, dict):
        return 400, [BrokenRule(field="body", rule=f"must be an object, not {_kind(document)}")]
    return 422, list(_in_request(document, schedule_field))


def in_words(mistakes: list[BrokenRule]) -> str:
    """Return the first mistakes in one line, and how many more there are."""
    listed = "; ".join(f"{mistake.field}: {mistake.rule}" for mistake in mistakes[:MAX_MISTAKES])
    more = len(mistakes) - MAX_MISTAKES
    return f"{listed}; and {more} more" if more > 0 else listed


def _in_request(document: dict[str, Any], schedule_field: str) -> Iterator[BrokenRule]:
    checks = SEND_CHECKS | {schedule_field: _schedule}
    yield from _in_object(document, checks, prefix="")
    if "campaignId" not in document:
        yield BrokenRule(field="campaignId", rule="required")
    contacts = document.get("contacts")
    if contacts is None and "contacts" not in document:
        yield BrokenRule(field="contacts", rule="required")
    if isinstance(contacts, list):
        for position, contact in enumerate(contacts):
            yield from _in_contact(contact, f"contacts[{position}]")


def _in_contact(contact: object, path: str) -> Iterator[BrokenRule]:
    if not isinstance(contact, dict):
        yield BrokenRule(field=path, rule=f"must be an object, not {_kind(contact)}")
        return
    yield from _in_object(contact, CONTACT_CHECKS, prefix=f"{path}.")
    if contact.keys().isdisjoint(NAMING_FIELDS):
        yield BrokenRule(field=path, rule=f"needs one of {', '.join(NAMING_FIELDS)}")


def _in_object(document: dict[str, Any], checks: dict[str, Check], *, prefix: str) -> Iterator[BrokenRule]:
    for name, value in document.items():
        check = checks.get(name)
        if check is not None:
            rule = check(value)
        elif name in rules.DEPRECATED_FIELDS:
            rule = "deprecated, leave it out and name contacts by externalCode and phoneNumber"
        else:
            rule = f"unknown field, allowed here: {', '.join(sorted(checks))}"
        if rule is not None:
            yield BrokenRule(field=f"{prefix}{name if name.isidentifier() else '(an odd name)'}", rule=rule)


def _campaign_id(value: object) -> str | None:
    if type(value) is not int:
        return f"must be an integer, not {_kind(value)}"
    return None if 1 <= value <= rules.MAX_CAMPAIGN_ID else "must be an integer from 1 to 2^63 - 1"


def _boolean(value: object) -> str | None:
    return None if type(value) is bool else f"must be true or false, not {_kind(value)}"


def _object(value: object) -> str | None:
    return None if isinstance(value, dict) else f"must be an object, not {_kind(value)}"


def _contacts(value: object) -> str | None:
    if not isinstance(value, list):
        return f"must be an array, not {_kind(value)}"
    return None if value else "must hold at least one contact"


def _schedule(value: object) -> str | None:
    if isinstance(value, str) and rules.SCHEDULE.fullmatch(value) and rules.is_instant(value):
        return None
    return "must be an instant in ISO 8601, YYYY-MM-DDThh:mm:ssZ or with an offset such as +01:00"


def _custom_fields(value: object) -> str | None:
    if not isinstance(value, dict):
        return f"must be an object, not {_kind(value)}"
    nested = any(isinstance(member, dict | list) for member in value.values())
    return "its values must be strings, numbers, booleans or null, not objects or arrays" if nested else None


def _code(value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be a string, not {_kind(value)}"
    return None if value else "must not be empty"


def _one_of(*allowed: str) -> Check:
    return lambda value: None if isinstance(value, str) and value in allowed else f"must be one of {', '.join(allowed)}"


def _text(pattern: re.Pattern[str], rule: str) -> Check:
    def check(value: object) -> str | None:
        if not isinstance(value, str):
            return f"must be a string, not {_kind(value)}"
        return None if pattern.fullmatch(value) else rule

    return check


def _or_null(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


SEND_CHECKS: dict[str, Check] = {
    "campaignId": _campaign_id,
    "flash": _boolean,
    "charset": _one_of(*rules.CHARSETS),
    "sendTypeOverride": _one_of(*rules.SEND_TYPES),
    "originData": _object,
    "contacts": _contacts,
}
CONTACT_CHECKS: dict[str, Check] = {
    "phoneE164": _text(rules.PHONE_E164, "must be + and 7 to 15 digits, nothing else"),
    "phoneNumber": _text(rules.PHONE_NUMBER, "must be 3 to 17 digits, with spaces, dots, dashes or brackets at most"),
    "countryCode": _or_null(_text(rules.COUNTRY_CODE, "must be 1 to 3 digits, without +")),
    "externalCode": _code,
    "customFields": _custom_fields,
    "customData": _or_null(_text(re.compile(r".*", re.DOTALL), "must be a string")),
}
NAMING_FIELDS = ("phoneE164", "phoneNumber", "externalCode")
