"""Two versions on one journal: what the older one makes of the newer one's entries, and the other way round."""

from typing import Any

import orjson
import pytest
from hypothesis import given

from consumer.core.journal.entries import Checkpoint, Entry, Placed, encode
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.stop import Stop
from consumer.core.journal.takeover import Evidence, Start, starting_point
from consumer.core.memory.platform_memory import NOTHING
from consumer.core.outcome import Status
from consumer.core.terms import JournalOffset, Offset
from tests.core.journal.replaying import Values, reading
from tests.core.journal.test_entries import ENTRIES

CLAIM = {"kind": "claim", "group": "g", "member": "m", "process": "p", "version": "0.1.0", "claimed_at": 1.0}
INTENT = {"kind": "intent", "send": "s", "attempt": 1, "campaign": 6, "offsets": [3], "intended_at": 2.0}
RETURNED = {"kind": "returned", "send": "s", "attempt": 1, "started": True, "fate": "failed"}
SETTLED = {"offsets": [3], "received": [[1.0, 1]], "fingerprints": "", "status": "accepted", "completed_at": 2.0}
CHECKPOINT = {
    "kind": "checkpoint", "group": "g", "watermark": 3, "settled": [], "open": [], "tried": [], "unpublished": None, "mark": None,
}  # fmt: skip
"""The form of the first version: the fields that came later are left out."""


def journal(*entries: dict[str, Any]) -> Values:
    """Entries, each where it says it stands."""
    return [(JournalOffset(at), orjson.dumps({"at": at, **fields})) for at, fields in enumerate(entries)]


def started(values: Values) -> Start | Stop:
    """What a take-over decides by this journal; nothing has ever been committed."""
    replay = reading(values)
    return starting_point(
        Evidence(
            committed=None,
            committed_by_us=False,
            checkpoint=replay.checkpoint,
            journal_is_whole=True,
            log_start=Offset(0),
            log_end=Offset(100),
            cut=replay.cut,
            unreadable=replay.unreadable,
        )
    )


# ---------------------------------------------------------------- an older version reads what a newer one wrote


@given(ENTRIES)
def test_a_field_that_a_newer_version_adds_is_passed_over(entry: Entry) -> None:
    fields = orjson.loads(encode(entry, JournalOffset(7)))
    fields["later"] = {"more": [1]}
    for name in ("settled", "open", "tried"):
        for one in fields.get(name) or ():
            if isinstance(one, dict):
                one["later"] = "a word"
    assert decode(JournalOffset(7), orjson.dumps(fields)) == Placed(
        offset=JournalOffset(7), at=JournalOffset(7), entry=entry
    )


NEWER: dict[str, dict[str, Any]] = {
    "a kind": {"kind": "lease", "until": 9.0},
    "a status": {"kind": "outcome", "send": None, "settled": [SETTLED | {"status": "scheduled"}]},
    "a reason": {"kind": "outcome", "send": None, "settled": [SETTLED | {"reason": "moon_phase"}]},
    "a fate": RETURNED | {"fate": "postponed"},
    "a shape of attempts": CHECKPOINT | {"open": [{"attempts": 2, "offsets": [3]}]},
    "a shape of offsets": INTENT | {"offsets": {"from": 3, "to": 4}},
}


@pytest.mark.parametrize("newer", NEWER.values(), ids=NEWER)
def test_what_a_newer_version_says_in_a_way_of_its_own_stops_the_partition_for_an_older_one(
    newer: dict[str, Any],
) -> None:
    values = journal(CLAIM, CHECKPOINT, CLAIM | {"process": "newer", "version": "9.0.0"}, INTENT, newer)
    stop = started(values)
    assert isinstance(stop, Stop)
    assert "journal offset 4" in stop.why
    assert stop.why.endswith("a newer version may have written it")
    assert stop.first.startswith("run that version again")
    assert stop.accept == "only as the last way"
    assert not stop.may_pass


def test_an_older_version_goes_on_once_a_newer_one_has_summed_up_in_words_that_it_knows() -> None:
    stopped = journal(CLAIM, NEWER["a kind"], CLAIM | {"process": "older"})
    assert isinstance(started(stopped), Stop)
    summed_up = journal(CLAIM, NEWER["a kind"], CLAIM | {"process": "older"}, CLAIM, CHECKPOINT | {"watermark": 5})
    assert started(summed_up) == Start(offset=Offset(5))


def test_what_an_older_version_claims_beside_entries_that_it_cannot_read_hides_none_of_them() -> None:
    """The newer one takes the partition back: it reads what it had written, and the claim in between says nothing."""
    taken = reading(journal(CLAIM, CHECKPOINT, INTENT, CLAIM | {"process": "older"}, CLAIM)).taken_over(Offset(3))
    assert taken.trials[Offset(3)].lost == 1


# ---------------------------------------------------------------- a newer version reads what the first one wrote


def test_a_journal_of_the_first_form_is_taken_over_with_its_attempts_outcomes_and_event_ids() -> None:
    outcome = SETTLED | {"offsets": [5], "fingerprints": "AAAAAAAAAAAAAAAAAAAAAQ=="}
    values = journal(
        CLAIM,
        {"kind": "outcome", "send": "before", "settled": [outcome | {"offsets": [1]}]},
        CHECKPOINT
        | {
            "watermark": 2,
            "settled": [3, 1],
            "open": [{"send": "s", "attempt": 2, "at": 5.0, "offsets": [2], "answered": True}],
            "tried": [{"attempts": 3, "first_at": 4.0, "offsets": [4]}],
        },
        INTENT | {"offsets": [6]},
        {name: value for name, value in RETURNED.items() if name != "fate"},
        {"kind": "outcome", "send": None, "settled": [outcome]},
    )
    assert started(values) == Start(offset=Offset(2))

    taken = reading(values).taken_over(Offset(2))

    assert taken.published.flat() == [3, 4]
    assert {offset: known.verdict.status for offset, known in taken.known.items()} == {5: Status.ACCEPTED}
    counts = {offset: (one.attempts, one.counted, one.lost, one.answers_lost) for offset, one in taken.trials.items()}
    assert counts == {2: (1, 1, 1, 0), 4: (3, 3, 0, 0), 6: (1, 1, 0, 0)}
    assert set(taken.recalled.ids.values()) == {5}, "one ID, settled twice: the younger offset is remembered"
    assert taken.recalled.forgotten is None


def test_a_checkpoint_of_the_first_form_says_nothing_of_what_it_could_not_know() -> None:
    ((offset, value),) = journal(CHECKPOINT)
    found = decode(offset, value).entry
    assert isinstance(found, Checkpoint)
    assert (found.claim, found.memory, found.platform) == (None, None, NOTHING)
