"""Why a partition is stopped, and what a person can do about it. Stops nothing itself."""

from dataclasses import dataclass

from consumer.core.terms import Partition

FORGETS = "forgets what was sent before, so that people may be texted twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """This partition must not start before somebody has looked at it."""

    why: str
    first: str
    """What to do before anything else."""
    accept: str = "then"
    """When an operator may let the partition start all the same."""
    may_pass: bool = False
    """Whether waiting may help: a broker that is still catching up looks like a truncated topic."""


def cure(stop: Stop, partition: Partition) -> str:
    """Return what to do about a stopped partition, the command that lets it start, and what that command risks."""
    return f"{stop.first}; {stop.accept} decide with campaign-consumer inspect --accept {partition}, which {FORGETS}"


def journal_damaged(why: str) -> Stop:
    """Return the stop of a partition whose journal has lost some of its entries."""
    return Stop(why=why, first="find out what happened to the journal topic")


def topic_changed(why: str, *, may_pass: bool = False) -> Stop:
    """Return the stop of a partition whose events are not those that were read before."""
    return Stop(why=why, first="find out who has recreated or truncated the events topic", may_pass=may_pass)


def unreadable_entry(why: str) -> Stop:
    """Return the stop of a partition whose journal holds an entry that this version cannot read."""
    return Stop(
        why=why,
        first="run that version again, and the partition goes on by itself; where there is none, find out who writes "
        "to the journal topic",
        accept="only as the last way",
    )


def not_ours(other: str, group: str) -> Stop:
    """Return the stop of a partition whose journal belongs to another group."""
    return Stop(
        why=f"its journal belongs to group {other!r}, and this is group {group!r}",
        first="give each group a journal of its own (CAMPAIGN_KAFKA__JOURNAL_TOPIC), or set CAMPAIGN_KAFKA__GROUP_ID right",
        accept=f"only where {other!r} is given up for good",
    )
