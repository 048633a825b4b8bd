"""`campaigns` on a real broker: what is written is what is listed, with exit codes and words that people can act on."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
import pytest_asyncio

from consumer.demo.surroundings import plain_environment
from tests.support.cluster import Cluster
from tests.support.records import Written, read_all, write
from tests.support.topics import Topics

OK, FAILED, MISUSED = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The command with a control topic of its own."""

    servers: str
    topic: str
    results: str

    def run(self, *arguments: str) -> tuple[int, str, str]:
        settings = {
            "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": self.servers,
            "CAMPAIGN_KAFKA__CONTROL_TOPIC": self.topic,
            "CAMPAIGN_KAFKA__RESULTS_TOPIC": self.results,
        }
        done = subprocess.run(
            [sys.executable, "-m", "consumer", "campaigns", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**plain_environment(), **settings},
            timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    def say(self, *arguments: str) -> str:
        code, out, err = self.run(*arguments, "--operator", "anna")
        assert (code, err) == (OK, "")
        return out

    def listed(self) -> dict[str, list[dict[str, object]]]:
        code, out, err = self.run("list", "--json")
        assert (code, err) == (OK, "")
        found: dict[str, list[dict[str, object]]] = json.loads(out)
        return found


@pytest_asyncio.fixture
async def session(kafka: Cluster, topics: Topics) -> Desk:
    return Desk(
        servers=kafka.bootstrap_servers,
        topic=await topics.create("control", settings={"cleanup.policy": "compact"}),
        results=await topics.create("results"),
    )


async def test_what_is_held_is_listed_until_it_is_released(session: Desk) -> None:
    assert session.listed() == {"holds": [], "cancellations": []}
    said = session.say("hold", "421", "7", "--reason", "wrong template")
    assert "campaigns release 421 7" in said
    session.say("hold", "--all", "--reject", "--reason", "stop")
    holds = session.listed()["holds"]
    assert [(one["campaignId"], one["reject"], one["reason"], one["operator"]) for one in holds] == [
        (421, False, "wrong template", "anna"),
        (7, False, "wrong template", "anna"),
        (None, True, "stop", "anna"),
    ]
    assert "still held: everything" in session.say("release", "421")
    assert "still held by themselves: campaigns 7" in session.say("release", "--all")
    assert "campaign 421 was not held" in session.say("release", "421", "7")
    assert session.listed()["holds"] == []
    assert "nothing is held" in session.run("list")[1]


async def test_a_second_hold_replaces_the_first(session: Desk) -> None:
    session.say("hold", "421", "--reason", "first")
    session.say("hold", "421", "--reason", "second", "--reject")
    (hold,) = session.listed()["holds"]
    assert (hold["reason"], hold["reject"]) == ("second", True)


async def test_a_cancellation_is_listed_and_says_what_became_of_each_event(kafka: Cluster, session: Desk) -> None:
    def result(event_id: str, status: str, reason: str | None) -> Written:
        fields = {"eventId": event_id, "status": status, "reason": reason, "completedAt": "2026-11-24T15:40:19.000Z"}
        return Written(value=json.dumps(fields).encode(), partition=0)

    results = [result("e-1", "accepted", None), result("e-2", "cancelled", "operator"), result("e-1", "duplicate", "x")]
    await write(kafka.bootstrap_servers, session.results, results)
    asked = ("cancel", "--event", "e-1", "--event", "e-2", "--reason", "by mistake", "--operator", "anna")
    code, out, err = session.run(*asked, "--wait", "20", "--json")
    assert (code, err) == (OK, "")
    said = json.loads(out)
    assert {one["eventId"]: one["status"] for one in said["outcomes"]} == {"e-1": "accepted", "e-2": "cancelled"}
    assert said["pending"] == []
    assert [(one["eventId"], one["campaignId"]) for one in session.listed()["cancellations"]] == [
        ("e-1", None),
        ("e-2", None),
    ]
    code, out, err = session.run("cancel", "--event", "e-1", "--event", "e-3", "--reason", "x", "--wait", "1")
    assert code == FAILED
    assert "e-1: too late, it is accepted since" in out
    assert "e-3: no outcome yet" in out
    assert "1 event has no outcome after 1 s" in err


async def test_cancellations_that_nobody_obeys_any_more_are_removed_by_the_next_one(
    kafka: Cluster, session: Desk
) -> None:
    fields = {"kind": "cancel", "eventId": "e-0", "campaignId": None, "reason": "x", "operator": "x"}
    old = json.dumps({**fields, "before": "2026-01-01T00:00:00Z"}).encode()
    await write(kafka.bootstrap_servers, session.topic, [Written(value=old, key=b"cancel/event/e-0", partition=0)])
    assert session.listed()["cancellations"] == []
    session.say("cancel", "--campaign", "7", "--reason", "x")
    written = await read_all(kafka.bootstrap_servers, session.topic)
    assert [(record.key, record.value is None) for record in written][-2:] == [
        (b"cancel/campaign/7", False),
        (b"cancel/event/e-0", True),
    ]


async def test_what_nobody_can_read_is_listed_as_a_hold_of_everything(kafka: Cluster, session: Desk) -> None:
    await write(kafka.bootstrap_servers, session.topic, [Written(value=b"{", key=b"who knows", partition=0)])
    (hold,) = session.listed()["holds"]
    assert hold["campaignId"] is None
    assert "offset 0 cannot be read: no JSON" in str(hold["reason"])
    session.say("release", "--all")
    assert session.listed()["holds"] == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("hold", "--reason", "x"), "name campaigns by their IDs, or everything by --all"),
        (("hold", "1", "--all", "--reason", "x"), "one of the two"),
        (("hold", "1", "--reason", "call +34 600 111 222"), "must hold no phone number"),
        (("hold", "1", "--reason", " "), "must be 1 to 200 characters"),
        (("hold", "0", "--reason", "x"), "0 is not in the range"),
        (("release",), "name campaigns"),
        (("cancel", "--reason", "x"), "name what to cancel"),
        (("cancel", "--campaign", "7", "--reason", "x", "--wait", "1"), "--wait tells of events"),
        (("cancel", "--event", "", "--reason", "x"), "1 to 128 characters"),
    ],
)
async def test_bad_usage_is_told_and_writes_nothing(session: Desk, arguments: tuple[str, ...], words: str) -> None:
    code, _, err = session.run(*arguments)
    assert code == MISUSED
    assert words in err
    assert session.listed() == {"holds": [], "cancellations": []}


async def test_a_missing_control_topic_is_one_line_with_its_setting(session: Desk) -> None:
    gone = Desk(servers=session.servers, topic=f"{session.topic}-nowhere", results=session.results)
    code, out, err = gone.run("hold", "7", "--reason", "x")
    assert (code, out) == (FAILED, "")
    assert err == f"CAMPAIGN_KAFKA__CONTROL_TOPIC: topic '{gone.topic}' does not exist: create it, then start again\n"


@pytest.mark.parametrize("name", ["", "hold", "release", "list", "cancel"])
def test_help_reads_well_at_80_columns(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "consumer", "campaigns", *([name] if name else []), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**plain_environment(), "COLUMNS": "80"},
    )
    assert max(map(len, done.stdout.splitlines())) <= 80
