"""Published schemas: what stands in `schemas/published` is what the models say, and other tools read it the same way."""

import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema import ValidationError as Unlike
from jsonschema.validators import extend
from pydantic import ValidationError

import schemas
from consumer.cli.schema import command
from consumer.core.outcome import Reason, Status
from consumer.edge.telemetry.metrics import SETTLEMENTS
from schemas.campaign_send import CampaignSend
from schemas.contact_event import contact_event_of
from schemas.instants import instant_of, text_of
from schemas.json_schema import SUBJECTS, json_schema
from schemas.mistake import SchemaError
from schemas.reference import STATUSES, page
from tests.core.intake.wild_events import FIELDS, INSTANTS, ODD_VALUES, VALID_EVENTS, nearly_valid_events, plain_event

NESTED = {"related": "ResultRelated", "source": "ResultSource", "response": "ResultResponse"}
PUBLISHED = Path(schemas.__file__).parent / "published"


def as_ecma_reads_it(validator: Any, pattern: str, instance: object, _schema: object) -> Iterator[Unlike]:
    """JSON Schema goes by ECMA 262, in which `$` is the very end; Python's also stands before a line feed."""
    if validator.is_type(instance, "string") and not re.search(pattern.replace("$", r"\Z"), str(instance)):
        yield Unlike(f"does not match {pattern!r}")


EVENT_SCHEMA = extend(Draft202012Validator, {"pattern": as_ecma_reads_it})(json_schema("event"))  # type: ignore[no-untyped-call] # jsonschema has no types


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_published_file_is_what_the_model_says(subject: str) -> None:
    published = json.loads((PUBLISHED / f"{subject}.json").read_bytes())
    assert published == json_schema(subject), f"campaign-consumer schema {subject} > schemas/published/{subject}.json"
    Draft202012Validator.check_schema(published)


def test_nothing_else_is_published() -> None:
    assert {path.stem for path in PUBLISHED.iterdir()} == set(SUBJECTS)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_command_prints_one_schema(subject: str) -> None:
    printed = CliRunner().invoke(command, [subject])
    assert json.loads(printed.output) == json_schema(subject)
    assert printed.output == (PUBLISHED / f"{subject}.json").read_text()


def test_the_command_prints_all_schemas_by_name() -> None:
    printed = CliRunner().invoke(command, [])
    assert json.loads(printed.output) == {subject: json_schema(subject) for subject in SUBJECTS}


def test_the_command_refuses_what_it_does_not_know() -> None:
    assert CliRunner().invoke(command, ["results"]).exit_code == 2


def test_statuses_and_reasons_are_those_of_the_service() -> None:
    properties = json_schema("result")["properties"]
    assert set(properties["status"]["enum"]) == set(Status)
    [reasons, _] = properties["reason"]["anyOf"]
    assert set(reasons["enum"]) == set(Reason)


def test_the_page_about_results_explains_every_status_and_reason_that_the_service_gives_and_no_other() -> None:
    explained = {(status, reason) for status, each in STATUSES.items() for reason in each.reasons}
    assert explained == {(str(status), reason and str(reason)) for status, reason in SETTLEMENTS}
    assert all(f"| `{status}` | `{reason}` | " in page() for status, reason in explained if reason)


def test_the_page_about_results_has_every_field_and_every_header_with_what_it_means() -> None:
    rows = dict(re.findall(r"^\| `([\w.-]+)` \| (?:[a-z ]+ \| )?([^|]+) \|$", page(), flags=re.MULTILINE))
    inner = json_schema("result")["$defs"]
    nested = {f"{name}.{field}" for name, of in NESTED.items() for field in inner[of]["properties"]}
    fields = {*json_schema("result")["properties"], *json_schema("dead-letter")["properties"], *nested}
    assert fields <= rows.keys()
    assert all(rows[field].strip() for field in fields)


@given(VALID_EVENTS)
def test_every_valid_event_keeps_the_published_schema(document: dict[str, Any]) -> None:
    EVENT_SCHEMA.validate(document)
    contact_event_of(document)


def has_whole_float(node: object) -> bool:
    """Whether a number stands here that JSON Schema takes for an integer and we do not."""
    match node:
        case dict():
            return any(map(has_whole_float, node.values()))
        case float():
            return math.isfinite(node) and node.is_integer()
        case _:
            return False


@given(nearly_valid_events())
def test_what_the_published_schema_refuses_is_invalid(document: dict[str, Any]) -> None:
    if not EVENT_SCHEMA.is_valid(document):
        with pytest.raises(SchemaError):
            contact_event_of(document)


STRUCTURAL = FIELDS.filter(lambda path: path[-1] not in {"occurredAt", "expiresAt", "scheduledAt", "originData", "x"})


@given(STRUCTURAL, ODD_VALUES)
@example(("contact", "phoneE164"), "+34600111222\n")
def test_but_for_instants_and_origin_data_the_published_schema_says_it_all(
    path: tuple[str, ...], value: object
) -> None:
    document = plain_event(send={})
    holder = document
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    if EVENT_SCHEMA.is_valid(document) and not has_whole_float(document) and not isinstance(value, dict):
        contact_event_of(document)


def test_a_null_counts_as_left_out() -> None:
    nulls = {"send": None, "expiresAt": None, "priority": None}
    contact = {"phoneE164": "+34600111222", "customFields": None, "phoneNumber": None, "externalReference": None}
    assert contact_event_of(plain_event(contact=contact, **nulls)) == contact_event_of(
        plain_event(contact={"phoneE164": "+34600111222"})
    )


def test_a_campaign_send_needs_somebody_to_send_to() -> None:
    CampaignSend.model_validate({"campaignId": 421, "contacts": [{"phoneE164": "+34600111222"}], "scheduleAt": "x"})
    unnamed: list[dict[str, str]] = [{}, {"customData": "order-1"}]
    for contacts in ([], unnamed[:1], unnamed[1:]):
        with pytest.raises(ValidationError):
            CampaignSend.model_validate({"campaignId": 421, "contacts": contacts})


# ---------------------------------------------------------------- instants


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_an_instant_is_read_as_the_standard_library_reads_it(moment: datetime, offset_minutes: int) -> None:
    sign, (hours, minutes) = "-" if offset_minutes < 0 else "+", divmod(abs(offset_minutes), 60)
    text = f"{moment.isoformat()}{sign}{hours:02d}:{minutes:02d}"
    utc = moment.replace(tzinfo=UTC) - timedelta(minutes=offset_minutes)
    expected = (utc - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    assert math.isclose(instant_of(text), expected, abs_tol=1e-4)


@given(INSTANTS)
def test_an_instant_reads_the_same_the_second_time(text: str) -> None:
    assert instant_of(text) == instant_of(text) == instant_of(text.replace("T", "t"))


@given(
    st.text(max_size=30)
    | INSTANTS.flatmap(lambda text: st.sampled_from([text[:-1], text + "Z", " " + text, text + "\n"]))
)
def test_what_is_no_instant_is_refused_without_being_quoted(text: str) -> None:
    refusal = ""
    try:
        instant_of(text)
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith("must be an RFC 3339 instant")
    else:
        assert datetime.fromisoformat(text.upper().replace(":60", ":59")).tzinfo


@pytest.mark.parametrize(
    "text",
    ["2026-11-24T15:40:19", "2026-11-24 15:40:19Z", "2026-11-24", "20261124T154019Z", "2026-W48-2T15:40:19Z",
     "2026-11-24T15:40Z", "2026-11-24T24:00:00Z", "2026-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "2026-11-24T15:40:61Z",
     "2026-11-24T15:40:19.Z", "2026-11-24T15:40:19,5Z", "2026-11-24T15:40:19+24:00", "2026-11-24T15:40:19+0100",
     "2026-11-24T15:40:19+01", "2026-11-24T15:40:1\N{ARABIC-INDIC DIGIT TWO}Z", "2026-11-24T15:40:19Z\n", "",
     "2026-11-24T15:40:19." + "1" * 33 + "Z", "2026-11-24T+5:40:19Z", "2026-11-24T15:40:-1Z", "2026-11-24T15: 4:19Z"],
)  # fmt: skip
def test_only_rfc_3339_with_an_offset_is_an_instant(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        instant_of(text)


def test_a_leap_second_is_the_next_ones_first() -> None:
    assert instant_of("2016-12-31T23:59:60Z") == instant_of("2017-01-01T00:00:00Z")
    assert instant_of("2016-12-31T23:59:60.5Z") == instant_of("2017-01-01T00:00:00.5Z")


@given(st.integers(0, 4_102_444_800_000))
def test_an_instant_written_to_the_millisecond_is_read_back(milliseconds: int) -> None:
    text = text_of(milliseconds / 1000)
    assert round(instant_of(text) * 1000) == milliseconds
    assert text_of(instant_of(text)) == text
