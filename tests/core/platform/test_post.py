"""A request's body, and the answer table of the contract, row by row."""

import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import GroupKey, Identity
from consumer.core.platform.answer import Answer, Answered, Lost, Unreachable, Withheld, Withholding
from consumer.core.platform.post import REFUSALS, Ruling, body, meaning, overhead_bytes
from consumer.core.policy import CampaignPolicy, Meaning, WireNames

PLAIN = CampaignPolicy()
NAMES = WireNames()


def answered(status: int) -> Answered:
    return Answered(status=status, retry_after_seconds=None, body=b"{}")


def ruling(answer: Answer, *, contacts: int = 1, **answers: Meaning) -> Ruling:
    remapped = {int(status.removeprefix("_")): meant for status, meant in answers.items()}
    return meaning(answer, CampaignPolicy(answers=remapped), contacts=contacts)


# ------------------------------------------------------------------------------------------------------- the body

texts = st.text(max_size=20)
options = st.dictionaries(texts, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts, max_size=4)
contacts = st.lists(st.dictionaries(texts, texts, max_size=4), max_size=6)
field_names = st.builds(WireNames, campaign_id=texts, contacts=texts)


@given(st.integers(1, 2**63 - 1), options, contacts, field_names)
def test_a_body_holds_campaign_options_and_contacts_and_nothing_else(
    campaign: int, chosen: dict[str, object], people: list[dict[str, str]], names: WireNames
) -> None:
    group = GroupKey(campaign, orjson.dumps(chosen)[1:-1], Identity.E164)
    fragments = [orjson.dumps(person) for person in people]
    sent = body(group, fragments, names)
    pairs: list[tuple[str, object]] = [(names.campaign_id, campaign), *chosen.items(), (names.contacts, people)]
    assert orjson.loads(sent) == dict(pairs)
    assert len(sent) == overhead_bytes(group, names) + sum(map(len, fragments)) + max(len(fragments) - 1, 0)


def test_a_plain_body_reads_as_the_platform_documents_it() -> None:
    group = GroupKey(421, b"", Identity.E164)
    assert body(group, [b'{"phoneE164":"+34600111222"}'], NAMES) == (
        b'{"campaignId":421,"contacts":[{"phoneE164":"+34600111222"}]}'
    )


# ------------------------------------------------------------------------------------------------------ the table

OTHERS_OF_4XX = [404, 405, 406, 409, 410, 411, 412, 414, 415, 418, 423, 426, 428, 431, 451, 499]

ONE: dict[Ruling, list[int]] = {
    Ruling.ACCEPTED: [200, 201, 202, 204, 207, 299],
    Ruling.CONTACT_REFUSED: [400, 422],
    Ruling.CAMPAIGN_REFUSED: [413, *OTHERS_OF_4XX],
    Ruling.ACCESS_REFUSED: [300, 301, 302, 303, 304, 307, 308, 401, 402, 403, 407],
    Ruling.NOT_DELIVERED: [408, 421, 425],
    Ruling.NOT_DELIVERED_UNCOUNTED: [429, 503],
    Ruling.UNKNOWN_SERVER_ERROR: [101, 500, 501, 502, 504, 505, 507, 520, 522, 524, 599, 999, 99],
}
SEVERAL: dict[Ruling, list[int]] = {
    **ONE,
    Ruling.HALVE: [400, 413, 422],
    Ruling.CONTACT_REFUSED: [],
    Ruling.CAMPAIGN_REFUSED: OTHERS_OF_4XX,
}


@pytest.mark.parametrize("status,expected", [(status, row) for row, statuses in ONE.items() for status in statuses])
def test_an_answer_about_one_contact_means_what_the_contract_says(status: int, expected: Ruling) -> None:
    assert ruling(answered(status)) is expected


@pytest.mark.parametrize("status,expected", [(status, row) for row, statuses in SEVERAL.items() for status in statuses])
@pytest.mark.parametrize("several", [2, 500])
def test_an_answer_about_several_contacts_means_what_the_contract_says(
    status: int, expected: Ruling, several: int
) -> None:
    assert ruling(answered(status), contacts=several) is expected


@pytest.mark.parametrize("contacts", [1, 500])
def test_without_an_answer_it_matters_only_whether_a_byte_went_out(contacts: int) -> None:
    assert ruling(Unreachable(detail="DNS"), contacts=contacts) is Ruling.NOT_DELIVERED_UNCOUNTED
    assert ruling(Lost(detail="reset"), contacts=contacts) is Ruling.UNKNOWN_ANSWER_LOST
    for why in Withholding:
        assert ruling(Withheld(why=why), contacts=contacts) is Ruling.WITHHELD


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_means_the_same_for_any_number_of_contacts_unless_it_can_be_halved(status: int) -> None:
    alone, several = ruling(answered(status)), ruling(answered(status), contacts=2)
    assert alone is several or (several is Ruling.HALVE and status in {400, 413, 422})
    assert alone is not Ruling.HALVE
    assert {alone, several}.isdisjoint({Ruling.WITHHELD, Ruling.UNKNOWN_ANSWER_LOST})
    assert (alone in REFUSALS) == (300 <= status < 500 and status not in {408, 421, 425, 429})


@given(st.integers(100, 599), st.sampled_from(Meaning), st.integers(1, 500))
def test_an_operators_word_for_a_status_goes_before_the_table(status: int, said: Meaning, contacts: int) -> None:
    expected = {
        Meaning.ACCEPTED: {Ruling.ACCEPTED},
        Meaning.REFUSED: {Ruling.CONTACT_REFUSED if contacts == 1 else Ruling.HALVE},
        Meaning.NOT_DELIVERED: {Ruling.NOT_DELIVERED, Ruling.NOT_DELIVERED_UNCOUNTED},
        Meaning.UNKNOWN: {Ruling.UNKNOWN_SERVER_ERROR},
    }[said]
    policy = CampaignPolicy(answers={status: said})
    assert meaning(answered(status), policy, contacts=contacts) in expected
    for other in {*range(100, 600)} - {status}:
        assert meaning(answered(other), policy, contacts=contacts) is meaning(answered(other), PLAIN, contacts=contacts)


@pytest.mark.parametrize("status", range(100, 600))
def test_of_what_is_not_delivered_only_429_and_503_do_not_count_against_the_attempts(status: int) -> None:
    uncounted = meaning(answered(status), CampaignPolicy(answers={status: Meaning.NOT_DELIVERED}), contacts=1)
    assert (uncounted is Ruling.NOT_DELIVERED_UNCOUNTED) == (status in {429, 503})


def test_an_operators_word_does_not_reach_what_is_no_answer() -> None:
    everything = CampaignPolicy(answers=dict.fromkeys(range(1000), Meaning.ACCEPTED))
    assert meaning(Lost(detail="reset"), everything, contacts=1) is Ruling.UNKNOWN_ANSWER_LOST
    assert meaning(Unreachable(detail="DNS"), everything, contacts=1) is Ruling.NOT_DELIVERED_UNCOUNTED


def test_the_table_stands_in_the_code_once() -> None:
    source = Path(meaning.__code__.co_filename).read_text(encoding="utf-8")
    for status in (400, 401, 402, 403, 407, 408, 413, 421, 422, 425, 429, 503):
        assert len(re.findall(rf"\b{status}\b", source)) == 1
