"""What befalls a world beside chance: kinds of blows, each at an instant. Strikes nobody itself."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "crash",  # kill -9, after so many more steps of the process
    "freeze",  # SIGSTOP and SIGCONT
    "suspend",  # the machine sleeps: its monotonic clock does not count that, its boot-time clock does
    "deaf",  # the process does not hear from the group any more, and goes on
    "stop",  # SIGTERM
    "interrupt",  # SIGTERM, and a second one
    "clock",  # the process's wall clock jumps
    "join",  # one more process, for a while
    "rebalance",  # the group assigns everything anew
    "denied",  # the key is refused for a while
    "away",  # the platform takes no connection for a while
    "results_down",  # nothing can be published for a while
    "results_refused",  # the results topic does not take what is written to it, until somebody mends it
    "journal_down",  # one journal partition takes nothing for a while
    "journal_small",  # it takes only small appends for a while, and refuses some
    "brokers_down",  # nothing of Kafka answers for a while
    "rewind",  # a tool sets the group back
    "forget",  # the group's commit is deleted
    "forward",  # a tool moves the group forward
    "journal_cut",  # retention removes the beginning of a journal that nobody needs any more
    "events_cut",  # retention removes events, read or not
    "recreated",  # somebody deletes a journal, and makes it anew
    "slip",  # somebody's producer writes into a journal what is no entry
    "intruder",  # another group claims a journal before it sees whose it is
    "hold",  # an operator holds a campaign, or everything, and releases it after a while
    "cancel",  # an operator cancels an event, or a campaign
    "stranger",  # a process of another group is started on the same journals, and runs for a while
]

BLOWS: tuple[Kind, ...] = (
    "crash", "freeze", "suspend", "deaf", "stop", "interrupt", "clock", "join", "rebalance", "denied", "away",
    "results_down",
    "journal_down", "brokers_down", "rewind", "forget", "forward", "journal_cut", "events_cut",
    "recreated", "slip", "intruder", "stranger", "results_refused", "journal_small", "hold", "cancel",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """Something that happens to a process, a partition or the world at an instant."""

    at: float
    kind: Kind
    where: int
    """Which process, or which partition; modulo how many there are."""
    amount: float
    """Seconds, steps or a share of a log, by the kind."""
