"""What bad contacts cost the good ones of their request, in requests: a logarithm for each, over a real socket."""

from dataclasses import replace
from math import ceil, log2

import pytest

from consumer.core.policy import Policies
from tests.service.events import event, id_of
from tests.sockets.stage import SOON, stage

CAMPAIGN = 421
CONTACTS = 1_000
POLICY = replace(SOON, window_seconds=60.0, max_contacts=CONTACTS)


@pytest.mark.parametrize("bad", [0, 1, 3, 10])
async def test_bad_contacts_of_a_thousand_are_found_by_halving(bad: int) -> None:
    documents = [event(CAMPAIGN, number) for number in range(CONTACTS)]
    refused = [id_of(documents[(number * 337 + 5) % CONTACTS]) for number in range(bad)]  # far from one another
    async with stage(Policies(default=SOON, campaigns={CAMPAIGN: POLICY})) as running:
        if refused:
            running.answer({"fault": "refuse_contact", "reference": refused})
        results = await running.sent(*documents)
        assert len(running.seen(CAMPAIGN)) <= 1 + 2 * bad * ceil(log2(CONTACTS))
        texts = running.texts(CAMPAIGN)
    for document, result in zip(documents, results, strict=True):
        is_bad = id_of(document) in refused
        assert result["status"] == ("rejected" if is_bad else "accepted")
        assert texts[id_of(document)] == (0 if is_bad else 1)
        assert not result["possibleDuplicate"]
