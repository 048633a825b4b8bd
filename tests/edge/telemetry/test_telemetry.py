"""Promises about what a person reads in the log: quiet when all is well, one clear line with a cure when not."""

import inspect

import pytest

from consumer.core.outcome import Reason, Status
from consumer.core.sending.window import CloseWhy
from consumer.core.terms import JournalOffset, Offset
from consumer.edge.telemetry.cures import OUTCOME_CURES, RETRY_CURES
from consumer.edge.telemetry.log import FAMILY_LINES, REPEAT_SECONDS
from consumer.edge.telemetry.places import MAX_RANGES, offset_ranges
from consumer.edge.telemetry.send_telemetry import SendLines
from consumer.edge.telemetry.telemetry import Telemetry
from consumer.service.facts import AnswerClass, DrainPhase, During, Facts, Priority, Producer, RetryReason, StopWhy
from tests.core.makers import make_event
from tests.edge.support import AMONG, P3, HandClock, Lines, accept, doubled, events, request, settle, status, telemetry


def a_good_minute(told: Telemetry) -> None:
    for _ in range(100):
        told.records_read(P3, count=500, value_bytes=200_000)
        told.journal_appended(P3, entries=2, seconds=0.001)
        told.send_posted(request(421, priority=Priority.NORMAL, contacts=500), waited_seconds=0.1)
        told.windows_closed(why=CloseWhy.AGE, ages_seconds=[2.0])
        told.send_answered(request(contacts=500), answer=AnswerClass.ACCEPTED, status=200, seconds=0.02)
        accept(told, request(421), *[2.0] * 500)
        settle(told, Status.ACCEPTED, None, count=500)
        settle(told, Status.REJECTED, Reason.CONTACT_REFUSED, count=1)
        settle(told, Status.DUPLICATE, Reason.REPEATED, count=1)
        settle(told, Status.EXPIRED, Reason.DEADLINE, count=1)
        told.results_published(topic="campaign-send-results", count=500, seconds=0.002)
        told.committed({P3: Offset(500)}, seconds=0.002)
        told.checkpoints_proven(seconds=[0.001])
        told.loop_delayed(seconds=0.002)


def test_a_steady_stream_writes_no_line() -> None:
    lines = Lines("INFO")
    a_good_minute(telemetry())
    assert lines.taken() == []


def test_the_summary_is_one_line_with_what_happened_since_the_last() -> None:
    lines, clock = Lines(), HandClock()
    told = telemetry(clock)
    told.bind(status)
    a_good_minute(told)
    clock.seconds += 60
    told.summary()
    [line] = lines.taken()
    assert line["event"] == "progress"
    assert line["level"] == "info"
    assert (line["seconds"], line["read"], line["requests"]) == (60, 50_000, 100)
    assert (line["accepted"], line["rejected"], line["lag"], line["in_flight"]) == (50_000, 100, 10, 7)
    assert "failed" not in line, "what did not happen takes no room"


def test_the_summary_of_an_idle_stream_is_silence() -> None:
    lines = Lines()
    told = telemetry()
    a_good_minute(told)
    told.summary()
    lines.taken()
    told.summary()
    assert lines.taken() == []


def test_a_problem_that_lasts_is_written_twice_a_minute_with_the_number_left_out() -> None:
    lines, clock = Lines(), HandClock()
    told = telemetry(clock)
    for _ in range(240):
        told.send_retried(request(7), reason=RetryReason.UNREACHABLE, delay_seconds=1)
        clock.seconds += REPEAT_SECONDS / 120
    told.send_retried(request(7), reason=RetryReason.UNREACHABLE, delay_seconds=1)
    written = lines.taken()
    assert [line.get("left_out", 0) for line in written] == [0, 119, 119]
    assert told.metrics.retries.value(RetryReason.UNREACHABLE) == 241, "the metric misses none"


def test_a_slip_in_a_fields_name_is_one_line_an_hour_with_what_was_meant() -> None:
    lines, clock = Lines(), HandClock()
    told = telemetry(clock)
    for _ in range(121):
        told.unknown_field(P3, name="expireAt", meant="expiresAt", count=2, among=AMONG)
        told.unknown_field(P3, name="priorty", meant="priority", count=1, among=AMONG)
        clock.seconds += 60
    written = lines.taken()
    assert [(line["field"], line.get("left_out", 0)) for line in written] == [
        ("expireAt", 0), ("priorty", 0), ("expireAt", 59), ("priorty", 59), ("expireAt", 59), ("priorty", 59),
    ]  # fmt: skip
    assert "did you mean expiresAt?" in str(written[0]["cure"])
    assert told.metrics.unknown_fields.totals("meant") == {"expiresAt": 242, "priority": 121}


def test_one_problem_never_hides_another() -> None:
    lines = Lines()
    told = telemetry()
    told.send_retried(request(7), reason=RetryReason.UNREACHABLE, delay_seconds=1)
    told.send_retried(request(7), reason=RetryReason.THROTTLED, delay_seconds=1)
    told.partition_lost(P3, claimed_by="a")
    told.partition_lost(P3._replace(number=4), claimed_by="a")
    assert len(lines.taken()) == 4


def test_a_problem_of_many_campaigns_names_some_of_them_and_says_how_many_lines_were_left_out() -> None:
    lines, clock = Lines(), HandClock()
    told = telemetry(clock)
    for _ in range(2):
        for campaign in range(1, 501):
            settle(told, Status.REJECTED, Reason.CAMPAIGN_REFUSED, campaign=campaign)
        settle(told, Status.FAILED, Reason.RETRY_AGE, campaign=7)
        clock.seconds += REPEAT_SECONDS
    refused = [line for line in lines.taken() if line["reason"] == "campaign_refused"]
    assert [line["campaign"] for line in refused[:FAMILY_LINES]] == list(range(1, FAMILY_LINES + 1))
    assert len(refused) == 2 * FAMILY_LINES
    assert [line.get("others_left_out", 0) for line in refused] == [
        *([0] * FAMILY_LINES), 500 - FAMILY_LINES, *([0] * (FAMILY_LINES - 1)),
    ]  # fmt: skip


def problems(told: Telemetry) -> None:
    told.drained(seconds=20, left_unsettled=3)
    told.loop_delayed(seconds=2)
    told.decoded_invalid(P3, reason=Reason.SCHEMA, offsets=[Offset(7)])
    told.unknown_field(P3, name="expireAt", meant="expiresAt", count=1, among=AMONG)
    told.records_lost(P3, start=Offset(1), stop=Offset(2))
    told.send_split(request(7, contacts=500), status=422)
    for retry in RETRY_CURES:
        told.send_retried(request(7), reason=retry, delay_seconds=1)
    told.attempts_unknown(request(), reason=Reason.ANSWER_LOST)
    for why, code in ((StopWhy.DENIED, 401), (StopWhy.DENIED, 302), (StopWhy.FIRST_CONTACT, 404)):
        told.probe_failed(request(7), why=why, status=code)
    told.probe_failed(request(7), why=StopWhy.UNREACHABLE, status=None)
    told.campaign_refused(request(8), status=403, refused_campaigns=2)
    told.dispatch_narrowed(refused_campaigns=[8, 7])
    for outcome, reason in OUTCOME_CURES:
        settle(told, outcome, reason, count=1)
    doubled(told)
    told.producer_replaced(Producer.RESULTS, why="KafkaTimeoutError")
    told.commit_failed([P3])
    told.commit_rewound(P3, committed=Offset(1), watermark=Offset(2))
    told.commit_skipped(P3, watermark=Offset(1), committed=Offset(2))
    told.partition_lost(P3, claimed_by="campaign-consumer/other")
    told.partition_stopped(P3, why="its journal was recreated", cure="find out who did it")
    told.foreign_claims(P3, group="other", member="m", count=1)
    told.writes_refused(P3, why="TopicAuthorizationFailedError")
    told.events_topic_unreadable("contact-events", [P3], why="it does not exist (any more): create it")
    told.message_cut("results", P3, offset=Offset(7))
    told.journal_void(P3, entries=1)
    told.journal_strays(P3, offsets=[JournalOffset(7)])
    told.journal_unsure(P3, why="no acknowledgement in 5 s")


def test_every_problem_line_names_its_cure_and_is_at_least_a_warning() -> None:
    lines = Lines("DEBUG")
    problems(telemetry())
    written = [line for line in lines.taken() if line["event"] != "settled"]  # one for each record, at DEBUG
    assert len(written) == 27 + len(RETRY_CURES) + len(OUTCOME_CURES)
    for line in written:
        assert line["level"] in {"warning", "error"}, line
        assert line["cure"], line


def test_what_wakes_somebody_up_is_an_error_and_nothing_else_is() -> None:
    lines = Lines()
    problems(telemetry())
    errors = {str(line["event"]) for line in lines.taken() if line["level"] == "error"}
    assert errors == {
        "records were removed before they were read",
        "the platform does not let us in, probing",
        "partition stopped",
        "another consumer group has claimed our journal",
        "partition stopped, the brokers refuse what it needs",
        "an events topic cannot be read",
    }


@pytest.mark.parametrize(
    "why, code, setting",
    [
        (StopWhy.DENIED, 401, "CAMPAIGN_API__SERVER_KEY"),
        (StopWhy.DENIED, 301, "CAMPAIGN_API__URL"),
        (StopWhy.DENIED, 402, "credit"),
        (StopWhy.DENIED, 407, "HTTPS_PROXY"),
        (StopWhy.FIRST_CONTACT, 400, "CAMPAIGN_API__FIELD_NAMES"),
        (StopWhy.UNREACHABLE, None, "CAMPAIGN_API__URL"),
    ],
)
def test_a_refused_door_names_the_setting_to_check(why: StopWhy, code: int | None, setting: str) -> None:
    lines = Lines()
    telemetry().probe_failed(request(7), why=why, status=code)
    [line] = lines.taken()
    assert setting in str(line["cure"])


def test_a_stopped_partition_s_line_says_its_cure() -> None:
    lines = Lines()
    telemetry().partition_stopped(P3, why="a newer version may have written it", cure="run that version again")
    [line] = lines.taken()
    assert line["cure"] == "run that version again"


def test_the_life_of_a_process_can_be_followed_at_info() -> None:
    lines = Lines()
    told = telemetry()
    told.started(group="g", topics=["contact-events"], http_url="http://127.0.0.1:9464/")
    told.partitions_assigned([P3._replace(number=10), P3])
    told.partition_claimed(P3, claim_offset=JournalOffset(4))
    told.partition_owned(P3, seconds=0.21234, watermark=Offset(12345678), unknown_attempts=0)
    told.dispatch_resumed(stopped_seconds=1.5)
    told.drain_phase(DrainPhase.SENDING, held=3, in_flight=1)
    told.partitions_revoked([P3], seconds=0.1)
    told.drained(seconds=1, left_unsettled=0)
    written = lines.taken()
    assert [line["event"] for line in written] == [
        *("started", "partitions assigned", "partition owned", "the platform lets us in"),
        *("draining", "partitions handed back", "stopped, everything settled"),
    ]
    assert written[0]["http_url"] == "http://127.0.0.1:9464/"
    assert written[1]["partitions"] == ["contact-events:3", "contact-events:10"]
    assert (written[2]["seconds"], written[2]["watermark"]) == (0.212, 12345678)
    assert {line["level"] for line in written} == {"info"}


def test_every_fact_of_the_interface_is_told_with_the_same_words() -> None:
    for name, fact in inspect.getmembers(Facts, inspect.isfunction):
        if not name.startswith("_"):
            assert getattr(Telemetry, name) is not fact, f"nobody tells of {name}"
            told = inspect.signature(getattr(Telemetry, name))
            assert list(told.parameters) == list(inspect.signature(fact).parameters), name


def test_an_unexpected_error_is_one_line_with_its_traceback_and_without_what_it_quotes() -> None:
    def stumble(name: str) -> None:
        try:
            dict[str, int]()[name]
        except KeyError as error:
            raise ValueError(f"no such customer: {name}, +34 600 111 222") from error

    lines, told = Lines(), telemetry()
    for _ in range(3):
        with pytest.raises(ValueError, match="Garcia") as caught:
            stumble("Maria Garcia")
        told.unexpected_error(during=During.REQUEST, error=caught.value)
    [line] = lines.taken()
    assert (line["level"], line["during"], line["error"]) == ("error", "request", "ValueError from KeyError")
    frames = line["at"]
    assert isinstance(frames, list)
    assert frames[-1].startswith("tests/edge/telemetry/test_telemetry.py:")
    assert frames[-1].endswith(" stumble")
    assert "cure" in line
    assert "Maria" not in str(line)
    assert "600" not in str([frames, line["error"]])
    assert told.metrics.unexpected_errors.value(During.REQUEST) == 3


def test_every_line_about_a_send_names_it_and_where_its_records_stand() -> None:
    lines = Lines()
    told = telemetry()
    members = [*events(3), make_event(7, partition=P3._replace(number=4), campaign=421)]
    one = request(members=members)
    told.send_split(one, status=422)
    told.send_retried(one, reason=RetryReason.THROTTLED, delay_seconds=1)
    told.attempts_unknown(one, reason=Reason.ANSWER_LOST)
    told.probe_failed(one, why=StopWhy.DENIED, status=401)
    told.campaign_refused(one, status=403, refused_campaigns=2)
    of_a_send = lines.taken()
    told.results_settled(
        status=Status.REJECTED, reason=Reason.CAMPAIGN_REFUSED, campaign_id=421, send_id=one.send_id, records=members
    )
    told.possible_duplicates(campaign_id=421, send_id=one.send_id, records=members)
    of_outcomes = lines.taken()
    assert (len(of_a_send), len(of_outcomes)) == (5, 2)
    for line in (*of_a_send, *of_outcomes):
        assert (line["campaign"], line["send_id"]) == (421, "5e9d"), line
        assert line["offsets"] == {"contact-events:3": "100-102", "contact-events:4": "7"}, line
    assert {(line["attempt"], line["contacts"]) for line in of_a_send} == {(2, 4)}
    assert {line["count"] for line in of_outcomes} == {4}


def test_records_that_are_no_events_are_named_by_partition_and_offset() -> None:
    lines = Lines()
    telemetry().decoded_invalid(P3, reason=Reason.SCHEMA, offsets=[Offset(at) for at in (1234567, 1234568, 1234571)])
    [line] = lines.taken()
    assert (line["partition"], line["offsets"], line["count"]) == ("contact-events:3", "1234567-1234568,1234571", 3)


def test_a_line_of_a_send_in_pieces_everywhere_stays_short() -> None:
    lines = Lines()
    members = [make_event(number * 2, partition=P3._replace(number=number % 3)) for number in range(500)]
    telemetry().attempts_unknown(request(members=members), reason=Reason.ANSWER_LOST)
    [line] = lines.taken()
    assert line["offsets_left_out"] == 500 - MAX_RANGES
    assert len(str(line)) < 1000
    assert offset_ranges([event.offset for event in members]).endswith(",…")


def test_each_request_has_a_line_at_info_where_that_is_chosen_and_else_at_debug() -> None:
    for level, sends, expected in (
        ("INFO", SendLines.AT_DEBUG, []),
        ("DEBUG", SendLines.AT_DEBUG, ["debug"]),
        ("INFO", SendLines.AT_INFO, ["info"] * 3),
    ):
        lines = Lines(level)
        told = telemetry(sends=sends)
        for _ in range(3 if sends is SendLines.AT_INFO else 1):
            told.send_answered(request(contacts=3), answer=AnswerClass.ACCEPTED, status=200, seconds=0.0214)
        written = lines.taken()
        assert [line["level"] for line in written] == expected
        for line in written:
            assert {name: line[name] for name in line if name not in ("timestamp", "level")} == {
                "event": "answered",
                "answer": "accepted",
                "status": 200,
                "seconds": 0.021,
                "campaign": 421,
                "send_id": "5e9d",
                "attempt": 2,
                "contacts": 3,
                "offsets": {"contact-events:3": "100-102"},
            }


def test_each_record_has_a_line_at_debug_alone() -> None:
    for level, expected in (("INFO", 0), ("DEBUG", 3)):
        lines = Lines(level)
        settle(telemetry(sends=SendLines.AT_INFO), Status.ACCEPTED, count=3)
        written = lines.taken()
        assert [(line["event"], line["partition"], line["offset"]) for line in written] == [
            ("settled", "contact-events:3", 100 + number) for number in range(expected)
        ]
