"""The log has a line when what troubles the service changes for good, and none for what comes and goes."""

from consumer.core.terms import Instant, Now, Ticks
from consumer.service.verdict import Standing, Trouble, VerdictCause, verdict_of
from consumer.service.verdict_watch import BETWEEN_SECONDS, LASTS_SECONDS, VerdictWatch
from tests.edge.support import HandClock, Lines, telemetry

STANDING = Standing(waiting=3, late_seconds=0.0)


class Watched:
    """A watch that looks once a second, while a test says what troubles there are."""

    def __init__(self) -> None:
        self.lines = Lines()
        self.clock = HandClock()
        self.troubles: list[Trouble] = []
        now = Now(Instant(0.0), Ticks(0.0))
        self.watch = VerdictWatch(
            lambda: verdict_of(STANDING, self.troubles, now), clock=self.clock, facts=telemetry(self.clock)
        )

    def during(self, seconds: float) -> list[tuple[object, object, object]]:
        """What is written meanwhile: level, grade, causes."""
        for _ in range(round(seconds)):
            self.watch.look()
            self.clock.seconds += 1.0
        return [(line["level"], line["grade"], line["causes"]) for line in self.lines.taken()]


def trouble(cause: VerdictCause = VerdictCause.PLATFORM_UNREACHABLE, *, is_bad: bool = True) -> Trouble:
    return Trouble(cause=cause, grade="bad" if is_bad else "warn", headline="h", sentence="the cure")


def test_a_service_that_is_well_from_the_beginning_writes_nothing() -> None:
    assert Watched().during(60) == []


def test_a_trouble_is_written_once_and_so_is_its_end() -> None:
    it = Watched()
    it.troubles = [trouble()]
    assert it.during(60) == [("error", "bad", ["platform_unreachable"])]
    it.troubles = []
    assert it.during(60) == [("info", "good", [])]


def test_a_trouble_that_gets_worse_is_written_again() -> None:
    it = Watched()
    it.troubles = [trouble(is_bad=False)]
    assert it.during(10) == [("warning", "warn", ["platform_unreachable"])]
    it.troubles = [trouble()]
    assert it.during(10) == [("error", "bad", ["platform_unreachable"])]


def test_troubles_that_end_one_after_the_other_end_in_one_line() -> None:
    it = Watched()
    it.troubles = [trouble(), trouble(VerdictCause.BEHIND, is_bad=False)]
    assert len(it.during(10)) == 1
    it.troubles = [trouble(VerdictCause.BEHIND, is_bad=False)]
    assert it.during(1) == []
    it.troubles = []
    assert it.during(20) == [("info", "good", [])]


def test_what_comes_and_goes_is_no_change_and_hides_none() -> None:
    it, flickering = Watched(), trouble(VerdictCause.BUFFER_FULL, is_bad=False)
    written = []
    for second in range(40):
        it.troubles = [trouble()] if second >= 20 else []
        it.troubles += [flickering] if second // (LASTS_SECONDS - 1) % 2 else []
        written += it.during(1)
    assert [(level, grade) for level, grade, _ in written] == [("error", "bad")]


def test_lines_keep_their_distance_and_nothing_is_left_out() -> None:
    it = Watched()
    it.troubles = [trouble()]
    assert len(it.during(LASTS_SECONDS + 1)) == 1
    it.troubles = [trouble(), trouble(VerdictCause.BROKERS)]
    assert it.during(BETWEEN_SECONDS - 1) == []
    assert it.during(1) == [("error", "bad", ["brokers", "platform_unreachable"])]


def test_what_is_named_in_passing_needs_no_line_for_its_end() -> None:
    it, fleeting = Watched(), trouble(VerdictCause.BUFFER_FULL, is_bad=False)
    it.troubles = [trouble()]
    it.during(LASTS_SECONDS)
    it.troubles = [trouble(), fleeting]
    assert len(it.during(1)) == 1
    it.troubles = [trouble()]
    assert it.during(60) == []


def test_starting_and_draining_have_lines_of_their_own() -> None:
    it = Watched()
    it.troubles = [trouble(VerdictCause.STARTING, is_bad=False), trouble(VerdictCause.DRAINING, is_bad=False)]
    assert it.during(60) == []


def test_the_sentence_names_campaigns_and_instants_unmasked() -> None:
    it = Watched()
    headline = "the platform rejects campaign 987654321 (404)"
    it.troubles = [
        Trouble(
            cause=VerdictCause.CAMPAIGNS_REFUSED,
            grade="bad",
            headline=headline,
            sentence="call +34600111222",
            since=Instant(-100_000.0),
        )
    ]
    for _ in range(5):
        it.watch.look()
        it.clock.seconds += 1.0
    (line,) = it.lines.taken()
    assert line["event"] == "the verdict changed"
    assert line["sentence"] == f"sending; {headline} since 1969-12-30 20:13:20"
    assert line["why"] == ["call ***"]
