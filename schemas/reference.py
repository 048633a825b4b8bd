"""Writes the page about results, `RESULTS.md`: statuses, reasons, fields. The service never uses it.

`python -m schemas.reference` prints it. What a status and a reason mean is written here; fields come from the models.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from schemas.json_schema import json_schema


class Explained(NamedTuple):
    """What a status tells the sender of an event. `reasons` has None if the status can occur without a reason."""

    meaning: str
    publish_again: str
    reasons: Mapping[str | None, str]


STATUSES: Final[Mapping[str, Explained]] = {
    "accepted": Explained(
        "The platform answered 2xx to the request with this contact. With `possibleDuplicate: true`, the person may "
        "have got the text twice.",
        "No.",
        {
            None: "The ordinary case.",
            "platform_reported_errors": "The answer lists an error that may be about this contact: it names nobody, or "
            "several contacts. `response` has the platform's words.",
            "unreadable_answer": "The status was 2xx, but the answer's body could not be read.",
        },
    ),
    "rejected": Explained(
        "The platform refused this contact or its campaign for good, or the event asks for something that is not "
        "configured. Nothing was sent.",
        "Once the cause is removed, with a **new** event ID.",
        {
            "contact_refused": "The platform refused this contact: 400 or 422 for a request with this contact alone, "
            "or an error in the answer that names it. `response` has the platform's words. Or nobody was asked (`attempts` is 0): "
            "`DELIVERY__CHECK_NUMBERS` knows that no such number exists.",
            "campaign_refused": "The platform refused the whole request for good: 404 or another permanent 4xx, or 413 "
            "for a request with one contact.",
            "schedule_not_configured": "The event has `send.scheduledAt`, but `API__FIELD_NAMES__SCHEDULED_AT` is not set.",
            "held": "An operator holds the campaign and lets its events be rejected: `campaigns hold --reject`.",
        },
    ),
    "failed": Explained(
        "Retries ran out. Surely not sent.",
        "If it still matters, with a **new** event ID.",
        {
            "retries_exhausted": "`DELIVERY__RETRY__MAX_ATTEMPTS` attempts were made.",
            "retry_age": "`DELIVERY__RETRY__MAX_AGE` has passed since the first attempt, or since the campaign was "
            "first refused. Outages do not count.",
        },
    ),
    "expired": Explained(
        "It was too late. Surely not sent.",
        "Only as a new event with a new deadline and a **new** event ID.",
        {
            "deadline": "`expiresAt`, or the deadline of `DELIVERY__EXPIRES_AFTER`, passed before a request could start.",
            "too_old": "`occurredAt` was further back than `KAFKA__MAX_EVENT_AGE` when the event was read, or before "
            "its first request.",
        },
    ),
    "in_doubt": Explained(
        "A request may have reached the platform, and its answer is lost. The person may have got the text or not. "
        "After several lost answers (`attempts` says how many requests) it may be even more than one.",
        "That is your decision: with a new event ID the person may get the text twice. The platform's reports know the "
        "`externalReference`.",
        {
            "answer_lost": "No complete answer came back, and the request is not repeated: with `hold` never, with "
            "`resend` after `DELIVERY__RETRY__LOST_ANSWER_REPEATS` repeats or at the deadline.",
            "server_error": "The platform or a gateway answered 5xx (not 503), which says nothing about whether it has "
            "sent, and the request is not repeated.",
            "owner_lost": "The instance was lost while the request was out, or before the answer was written down, and "
            "the request is not repeated.",
        },
    ),
    "duplicate": Explained(
        "This event ID has an outcome already. `related` says which record had it.",
        "No.",
        {"repeated": "The only reason. Of a deliberate resend, event ID and `resend-id` are compared together."},
    ),
    "invalid": Explained(
        "The record is no valid event. `detail` says what is wrong, never with a value of it. The record's bytes are "
        "in the dead-letter topic, unless nobody could read them or they do not fit; then the header `dlq-truncated` says so.",
        "Corrected, with a new event ID or the old one: an invalid record uses up no ID.",
        {
            "not_utf8": "The bytes are not UTF-8.",
            "not_json": "The text is not JSON, or the record's batch cannot be read.",
            "not_an_object": "It is JSON, but not an object.",
            "schema": "A field is missing or wrong.",
            "too_large": "Contact and options do not fit into one request, or the external reference is too long.",
            "tombstone": "The record has no value.",
        },
    ),
    "superseded": Explained(
        "Surely not sent: another event of its campaign for the same person took its place (`DELIVERY__SAME_CONTACT`). `related` "
        "names that one.",
        "Only if it still matters beside that one, with a **new** event ID.",
        {
            "newer_event": "With `keep_latest`: a newer one came before this had gone out.",
            "older_event": "With `keep_first`: an older one had no outcome yet.",
        },
    ),
    "cancelled": Explained(
        "Surely not sent: by the word of an operator, or by a setting, before a request started that may have been received.",
        "Only if that was wrong, with a **new** event ID; or with `replay`, which takes cancelled events by default.",
        {
            "operator": "`campaigns cancel`, for what was published before that moment.",
            "dry_run": "`DELIVERY__DRY_RUN`: its request's turn had come.",
            "not_a_test_recipient": "`DELIVERY__TEST_RECIPIENTS` does not name this contact.",
        },
    ),
}
"""Every status with every reason that it can have."""

HEAD: Final = """\
# Results

One result for every record of an events topic, in the results topic (`KAFKA__RESULTS_TOPIC`). `make generate` writes this page
from the code. The same as JSON Schema: [`published/result.json`](published/result.json), or `campaign-consumer schema result`.

- **Key**: the key of the event's record.
- **Headers**: where the service takes part in traces, `traceparent` and `tracestate` of the event's record, as they are.
- **Partition**: the partition number of the event's record. If the results topic has fewer partitions, the number starts again
  at 0.
- **Repetition**: a result may be published again around a crash or a change of owner. It then has the same `resultId` and the
  same content. Ignore a `resultId` that you have seen.

## Statuses

A status is final. No status is followed by another one.

| `status` | what it means | publish again? |
|---|---|---|
"""
REASONS_HEAD: Final = """
If you do not know whether your *publication* worked, because your producer timed out for example, publish the same event again
with the **same** event ID and key. If the first one had arrived, the second one becomes a `duplicate`.

## Reasons

The HTTP statuses are those of the default meaning; `DELIVERY__ANSWERS__<status>` can give a status another one.

| `status` | `reason` | what it means |
|---|---|---|
"""
FIELDS_HEAD: Final = """
## Fields

Every field is always there; null says that there is nothing to say. Instants are RFC 3339 in UTC. Those of the service are cut to
the millisecond, so that none is later than what it tells of: `dispatchedAt` always lies before the event's `expiresAt`.

| field | type | meaning |
|---|---|---|
"""
DEAD_LETTERS_HEAD: Final = """
What the platform says is passed on with runs of seven and more digits masked. Key and external reference are the sender's own
words and travel as they are. No phone, name or custom field is in a result.

## Dead letters

The record of an `invalid` result, in the dead-letter topic (`KAFKA__DEAD_LETTER_TOPIC`): the original key, value and headers, and
these headers. Protect that topic as you protect the events topic, because it holds the original bytes. The headers as JSON
Schema: [`published/dead-letter.json`](published/dead-letter.json).

| header | meaning |
|---|---|
"""


def page() -> str:
    """Return the page, as Markdown."""
    statuses = (f"| `{name}` | {each.meaning} | {each.publish_again} |" for name, each in STATUSES.items())
    reasons = (
        f"| `{status}` | {'none' if reason is None else f'`{reason}`'} | {meaning} |"
        for status, each in STATUSES.items()
        for reason, meaning in each.reasons.items()
    )
    dead_letters = (
        f"| `{name}` | {field['description']} |" for name, field in json_schema("dead-letter")["properties"].items()
    )
    tables = (statuses, reasons, _fields(json_schema("result")), dead_letters)
    heads = (HEAD, REASONS_HEAD, FIELDS_HEAD, DEAD_LETTERS_HEAD)
    return "".join(head + _lines(table) for head, table in zip(heads, tables, strict=True))


def _fields(schema: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield a row for each field of a result; the fields of an object follow it."""
    for name, field in schema["properties"].items():
        kinds = " or ".join(each.get("type", "object") for each in field.get("anyOf", (field,)))
        yield f"| `{above}{name}` | {kinds} | {field['description']} |"
        for each in field.get("anyOf", (field,)):
            if "$ref" in each:
                definition = each["$ref"].rpartition("/")[2]
                yield from _fields(json_schema("result")["$defs"][definition], f"{name}.")


def _lines(lines: Iterable[str]) -> str:
    return "\n".join((*lines, ""))


if __name__ == "__main__":
    sys.stdout.write(page())
