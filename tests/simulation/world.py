"""A seeded world around real services: their processes, their time, and what befalls them. Decides nothing they decide.

Every process has an event loop of its own. The world lets one of them run a little, or lets something under way
arrive, by the dice; time moves only when nobody has anything to do.
"""

import heapq
from asyncio import events
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from consumer.core.policy import BreakerPolicy, CampaignPolicy, MemorySizes, OnUnknown, Policies, SameContact
from consumer.service import evidence as past
from tests.simulation.blows import Blow
from tests.simulation.broker import Logs
from tests.simulation.faults import Dice
from tests.simulation.group import Group
from tests.simulation.judge import LOST_ANSWER_REPEATS, Judge, Violation
from tests.simulation.operators import Operators
from tests.simulation.platform import SmsPlatform
from tests.simulation.process import Process
from tests.simulation.scenario import (
    EPOCH,
    LONG,
    OTHER_GROUP,
    OUR_GROUP,
    URGENT_TOPIC,
    Publication,
    Scenario,
    last_events,
)
from tests.simulation.standstill import LAG_SECONDS, Standstill

CALM_AFTER_SECONDS = 4.0
"""Faults go on for so long after the last event; then everything has to come to its end."""

DUE_SECONDS = 90.0
"""Who gets through has its outcome by then, whatever the others do; probes are half a minute apart at most."""

KEEPS_COMING_SECONDS = 10.0
"""How often an event comes that is let through: a stop is narrowed to those who are refused by somebody who is not."""

MAX_AGE_SECONDS = 60.0
SETTLE_SECONDS = 240.0
BURST = 6
MOST_STEPS = 400_000
SMALL_SEGMENTS = 1
RUN_IDS = 2
"""IDs that are packed or merged in one turn: few, or nothing is ever half packed."""
PARKED_RANGE_RECORDS = 4
LARGE_ENOUGH = 1024 * 1024


class World:
    """Everything outside the processes."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.time = 0.0
        self.dice = Dice(scenario.seed, scenario.chances, scenario.muted)
        self.calm = False
        """Whether nothing goes wrong any more."""
        self.trace: list[tuple[float, str, str, object]] = []
        self.reached: Counter[str] = Counter()
        self.judge = Judge(scenario, happened=lambda what: self.note("judge", what, ""))
        self.judge.rivals.same_contact = scenario.same_contact
        self.policies = _policies(scenario)
        self.logs = Logs(self)
        self.group = Group(self)
        self.groups = {OUR_GROUP: self.group, OTHER_GROUP: Group(self)}
        self.platform = SmsPlatform(self)
        self.operators = Operators(self)
        self.standstill = Standstill(self)
        self.processes: list[Process] = []
        self.dead: list[Process] = []
        self.steps = 0
        self._turns = self.dice.stream("turns")
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._agenda_count = 0
        self._names = 0

    # ---------------------------------------------------------------- time and tidings

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Have something happen outside the processes."""
        self._agenda_count += 1
        heapq.heappush(self._agenda, (self.time + seconds, self._agenda_count, act))

    def note(self, who: str, what: str, detail: object) -> None:
        """Write a line of the trace."""
        self.trace.append((self.time, who, what, detail))

    @property
    def wall(self) -> float:
        """What a clock that is right says."""
        return EPOCH + self.time

    # ---------------------------------------------------------------- the whole

    def play(self) -> None:
        """Let the scenario happen, then everything come to its end.

        Raises:
            Violation: a promise was broken, or something hangs.
        """
        with self.open():
            end = max([one.at for one in self.scenario.publications], default=0.0) + CALM_AFTER_SECONDS
            self._run(lambda: self.time >= end)
            self._let_be()
            self._give_those_who_get_through_their_due()
            give_up = self.time + SETTLE_SECONDS
            self._run(lambda: self.judge.everything_is_settled() or self.time >= give_up)
            lag_until = self.time + LAG_SECONDS
            self._run(lambda: self.standstill.lag_is_over() or self.time >= lag_until)
            self.platform.act_on_everything()
            self.judge.final()
            self.standstill.final()
            self.raise_what_was_broken()

    @contextmanager
    def open(self) -> "Iterator[World]":
        """Let the scenario begin, and end all processes when the block does."""
        before = events._get_running_loop()  # noqa: SLF001  # each process has a loop of its own
        first_step, past.FIRST_STEP = past.FIRST_STEP, self.scenario.journal_step
        try:
            self._begin()
            yield self
        finally:
            for process in (*self.processes, *self.dead):
                process.bury()
            past.FIRST_STEP = first_step
            events._set_running_loop(before)  # noqa: SLF001  # see above

    def run_until(self, time: float) -> None:
        """Let the world go on until then."""
        self._run(lambda: self.time >= time)

    def _give_those_who_get_through_their_due(self) -> None:
        """Hold it against the service where one campaign that gets through waits for another that does not.

        The buffer has room for all: a campaign that fills it alone would still keep the others from being read.
        """
        moods, promised = self.platform.moods, self.time + DUE_SECONDS
        self._run(lambda: self.judge.is_settled(but=moods.keys()) or self.time >= promised)
        self.judge.has_given_their_due(but=moods.keys())
        slowed = {campaign for campaign, mood in moods.items() if mood == "slowed"}
        for number in range(int((DUE_SECONDS + MAX_AGE_SECONDS) / KEEPS_COMING_SECONDS)):
            if self.judge.is_settled(but=slowed):
                break
            for publication in last_events(self.scenario, self.time, f"last-{number}"):
                self.publish(publication)
            next_at = self.time + KEEPS_COMING_SECONDS
            self._run(lambda until=next_at: self.judge.is_settled(but=slowed) or self.time >= until)  # type: ignore[misc]
        self.judge.has_given_their_due(but=slowed)
        moods.clear()

    def _begin(self) -> None:
        for number, done in enumerate(self.scenario.starts_at):
            self.logs.migrated(number, done)
            if self.scenario.deduplication_seconds < LONG:
                self.judge.forgets(number)
        for publication in self.scenario.publications:
            self.after(publication.at, lambda one=publication: self.publish(one))  # type: ignore[misc]
        for blow in self.scenario.blows:
            self.after(blow.at, lambda one=blow: self._befall(one))  # type: ignore[misc]
        for slot in range(self.scenario.processes):
            self.start(slot)
        self.standstill.begin()

    def publish(self, publication: Publication) -> None:
        """Append to the events topic."""
        self.logs.publish(publication)

    def _let_be(self) -> None:
        """End every trouble; a process that does not run is started."""
        self.calm = True
        self.dice.calm()
        self.note("world", "calm", "")
        self.platform.denied_until = self.platform.away_until = 0.0
        self.logs.calm()
        self.group.calm()
        self.operators.calm()
        for process in self.processes:
            process.wake()
            process.skew = 0.0
            process.crash_after = None
        if not self.processes:
            self.start(0)
        for publication in last_events(self.scenario, self.time):
            self.publish(publication)
        self.logs.end_transactions()

    def _run(self, over: Callable[[], bool]) -> None:
        while not over():
            self._step()
            self.steps += 1
            self.raise_what_was_broken()
            if self.steps > MOST_STEPS:
                raise Violation("something goes round and round")

    def raise_what_was_broken(self) -> None:
        """Say so where a promise is broken, whoever has swallowed it.

        Raises:
            Violation: that one.
        """
        if self.judge.broken is not None:
            raise self.judge.broken

    def _step(self) -> None:
        """Let one process run a little, or one thing arrive; where there is neither, time passes."""
        runnable = [process for process in self.processes if process.frozen_until is None and process.loop.has_work()]
        agenda = self._agenda
        due = bool(agenda) and agenda[0][0] <= self.time
        choices = len(runnable) + due
        if not choices:
            self._pass_time()
            return
        chosen = int(self._turns.random() * choices) if choices > 1 else 0
        if chosen < len(runnable):
            runnable[chosen].run(1 + int(self._turns.random() * BURST))
        else:
            heapq.heappop(agenda)[2]()

    def _pass_time(self) -> None:
        instants = [
            self.time + seconds
            for process in self.processes
            if process.frozen_until is None and (seconds := process.loop.next_timer_in()) is not None
        ]
        if self._agenda:
            instants.append(self._agenda[0][0])
        if not instants:
            raise Violation("nothing will ever happen again")
        self.time = max(min(instants), self.time + 1e-9)  # by a rounding error, a timer may not ring yet

    # ---------------------------------------------------------------- processes

    def start(self, slot: int, *, for_good: bool = True, group: str = OUR_GROUP) -> None:
        """Start a process. One that is there `for_good` is started again when it ends."""
        self._names += 1
        process = Process(self, f"p{slot}.{self._names}", slot, restarts=for_good, group=group)
        self.note(process.name, "starts", "")
        self.processes.append(process)
        process.start()

    def ended(self, process: Process, why: str) -> None:
        """Take note that a process runs no more."""
        self.note(process.name, why, "")
        self.reached[why] += 1
        process.alive = False
        self.processes.remove(process)
        self.dead.append(process)
        process.member.group.vanished(process.member)
        if process.restarts:
            self.after(self.dice.stream("restart").choice((0.05, 0.5, 2.0)), lambda: self.start(process.slot))

    # ---------------------------------------------------------------- blows

    def _befall(self, blow: Blow) -> None:
        if self.calm:
            return
        self._let_befall(blow)
        self.reached[blow.kind] += 1
        self.note("world", blow.kind, (blow.where, blow.amount))

    def _let_befall(self, blow: Blow) -> None:
        match blow.kind:
            case "denied" | "away":
                self.platform.turns_away(blow)
            case "join" | "stranger":
                self._visit(blow)
            case "hold" | "cancel":
                self.operators.befall(blow)
            case "rebalance":
                self.group.rebalance("somebody asked for it")
            case "results_down" | "results_refused" | "journal_down" | "journal_small" | "brokers_down":
                self.logs.away(blow)
            case "rewind" | "forget" | "forward":
                self.group.meddle(blow)
            case "recreated":
                self.logs.recreate(blow)
            case "journal_cut" | "events_cut" | "slip" | "intruder":
                self.logs.touch(blow)
            case _:
                if self.processes:
                    self._strike(self.processes[blow.where % len(self.processes)], blow)

    def _visit(self, blow: Blow) -> None:
        """Let one more process run for a while; one of another group finds journals that are somebody's."""
        group = OUR_GROUP if blow.kind == "join" else OTHER_GROUP
        if group == OTHER_GROUP and len(self.judge.claimed) < self.scenario.partitions:
            return
        self.start(9, for_good=False, group=group)
        self.after(blow.amount, self._dismiss)

    def _strike(self, process: Process, blow: Blow) -> None:
        match blow.kind:
            case "crash":
                process.crash_after = int(blow.amount)
            case "freeze":
                process.freeze(blow.amount, counted=True)
            case "suspend":
                process.freeze(blow.amount, counted=False)
            case "deaf":
                process.member.deafen(blow.amount)
            case "stop":
                process.terminate()
            case "interrupt":
                process.terminate()
                self.after(blow.amount / 10, process.terminate)
            case "clock":
                process.skew += blow.amount
            case _:
                raise AssertionError(blow)

    def _dismiss(self) -> None:
        for process in self.processes:
            if not process.restarts:
                process.terminate()


def _policies(scenario: Scenario) -> Policies:
    def policy(campaign: int) -> CampaignPolicy:
        return CampaignPolicy(
            window_seconds=scenario.window_seconds,
            max_contacts=scenario.max_contacts,
            same_contact=SameContact(scenario.same_contact[campaign - 1]),
            on_unknown=OnUnknown.HOLD if campaign in scenario.hold else OnUnknown.RESEND,
            max_concurrency=max(1, scenario.concurrency // 2),
            max_attempts=scenario.max_attempts,
            max_age_seconds=MAX_AGE_SECONDS,
            backoff_base_seconds=0.1,
            backoff_max_seconds=1.0,
            lost_answer_repeats=LOST_ANSWER_REPEATS,
        )

    return Policies(
        default=policy(1),
        campaigns={2: policy(2)},
        urgent_topics=frozenset({URGENT_TOPIC}) if scenario.urgent else frozenset(),
        max_concurrency=scenario.concurrency,
        reserved_concurrency=scenario.concurrency // 4,
        breaker=BreakerPolicy(min_requests=6, window_seconds=5.0, open_seconds=0.5, max_open_seconds=4.0),
        deduplication_ttl_seconds=scenario.deduplication_seconds,
        memory_sizes=MemorySizes(
            segment_ids=scenario.segment_ids,
            run_ids=RUN_IDS,
            tail_entries=scenario.tail_entries,
            small_segments=SMALL_SEGMENTS,
        ),
        buffer_max_events=scenario.buffer_events,
        buffer_max_bytes=LARGE_ENOUGH,
        max_ahead=scenario.max_ahead,
        read_ahead=scenario.read_ahead,
        parked_range_records=PARKED_RANGE_RECORDS,
    )
