"""Each kind of stop has its own cure, and whoever lets the partition start is told what that risks."""

import pytest

from consumer.core.journal.stop import Stop, cure, journal_damaged, not_ours, topic_changed, unreadable_entry
from consumer.core.terms import Partition

STOPS = {
    "a journal that lost entries": (journal_damaged("x"), "find out what happened to the journal topic; then decide"),
    "another topic": (topic_changed("x"), "find out who has recreated or truncated the events topic; then decide"),
    "a newer version's entry": (unreadable_entry("x"), "run that version again, and the partition goes on by itself"),
    "another group's journal": (not_ours("other", "g"), "give each group a journal of its own"),
}


@pytest.mark.parametrize("stop, first", STOPS.values(), ids=STOPS)
def test_a_stop_begins_with_its_own_cure_and_ends_with_what_its_acceptance_risks(stop: Stop, first: str) -> None:
    said = cure(stop, Partition("events", 3))
    assert said.startswith(first)
    command = "decide with campaign-consumer inspect --accept events:3, which forgets what was sent before"
    assert said.endswith(f"{command}, so that people may be texted twice")


def test_a_newer_version_s_entry_is_accepted_as_the_last_way_alone() -> None:
    said = cure(unreadable_entry("x"), Partition("events", 3))
    assert "; only as the last way decide with campaign-consumer inspect --accept" in said


def test_another_group_s_journal_is_taken_only_where_that_group_is_gone_for_good() -> None:
    said = cure(not_ours("other", "g"), Partition("events", 3))
    assert "; only where 'other' is given up for good decide with" in said
