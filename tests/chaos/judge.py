"""Whether the promises held, by what the platform, the results, the journal and the audit say. Shares no code with it."""

from collections import Counter, defaultdict
from typing import NamedTuple

from consumer.demo.arithmetic import Account, RecordPlace
from tests.chaos.journal import read_journal
from tests.chaos.load import HOLD
from tests.service.auditing import audited
from tests.service.harness import Stage

PROVE_SECONDS = 2.0
"""So long may an intent wait for its acknowledgement."""
PROOF_SECONDS = 1.0
"""So old may its proof be when the request starts."""
SLACK_SECONDS = 0.25
"""Clocks are read here and there, and a busy machine lies between."""


async def judge(stage: Stage) -> Account:
    """Add up every record, result and text, look at the proof of every request, and let the audit have its say."""
    account = await stage.account()
    audit = await audited(stage, "--json", "--complete")
    assert not audit.violations
    assert audit.exit_code == 0, audit.errors
    assert (await stage.ask.summary()).duplicates == 0, "nobody stands twice in one request"
    assert not await texted_twice_with_hold(stage)
    await assert_fresh_proofs(stage)
    return account


async def texted_twice_with_hold(stage: Stage) -> list[str]:
    """The references of campaigns that repeat nothing unknown, and that were texted twice nonetheless."""
    texts: Counter[str] = Counter()
    for campaign in HOLD:
        texts.update([contact.reference or "" async for contact in stage.ask.stream_contacts(campaign_id=campaign)])
    return [reference for reference, count in texts.items() if count > 1]


async def assert_in_order(stage: Stage) -> None:
    """Nobody got a later event of a campaign before an earlier one of the same partition, repeats apart."""
    place_of = {
        result.external_reference: result.place for result in stage.results.seen if result.status != "duplicate"
    }
    texted: defaultdict[tuple[int, str, int], dict[int, float]] = defaultdict(dict)
    async for contact in stage.ask.stream_contacts():
        place = place_of[contact.reference]
        first = texted[contact.campaign_id, contact.person, place.partition]
        first[place.offset] = min(contact.first_byte_at, first.get(place.offset, contact.first_byte_at))
    for person, first in texted.items():
        assert sorted(first, key=first.__getitem__) == sorted(first), f"{person} out of order"


async def assert_fresh_proofs(stage: Stage) -> None:
    """Each request was preceded by intents of its own that count and are not old: who was frozen has to look again.

    A request is known by whom it carries: exactly those stand in its intents, one in each partition. Where the platform
    has left somebody out, they are some of those.
    """
    written_at: defaultdict[frozenset[RecordPlace], list[float]] = defaultdict(list)
    sends_with: defaultdict[RecordPlace, set[frozenset[RecordPlace]]] = defaultdict(set)
    for entry in await read_journal(stage):
        if entry.kind == "intent" and entry.counts:
            places = frozenset(entry.places())
            written_at[places].append(entry.written_at)
            for place in places:
                sends_with[place].add(places)
    for part, texted in (await _texted_by_request(stage)).items():
        sends = [texted] if texted in written_at else [send for send in sends_with[min(texted)] if texted <= send]
        ages = [part.first_byte_at - instant for send in sends for instant in written_at[send]]
        youngest = min((age for age in ages if age > -SLACK_SECONDS), default=float("inf"))
        assert youngest <= PROVE_SECONDS + PROOF_SECONDS + SLACK_SECONDS, (
            f"a request with {sorted(texted)[:3]} started {youngest:.1f} s after its intent"
        )


class _Part(NamedTuple):
    """What one request carried of one partition."""

    request_id: int
    partition: int
    first_byte_at: float


async def _texted_by_request(stage: Stage) -> dict[_Part, frozenset[RecordPlace]]:
    place_of = _places(stage)
    texted: defaultdict[_Part, set[RecordPlace]] = defaultdict(set)
    async for contact in stage.ask.stream_contacts():
        place = place_of[contact.reference]
        texted[_Part(contact.request_id, place.partition, contact.first_byte_at)].add(place)
    return {part: frozenset(places) for part, places in texted.items()}


def _places(stage: Stage) -> dict[str | None, RecordPlace]:
    """Where the record of each reference stands; of those with one ID, the one that is sent."""
    return {result.external_reference: result.place for result in stage.results.seen if result.status != "duplicate"}
