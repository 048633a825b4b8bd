"""In which way worlds go wrong: what strikes by chance, which blows fall, and which seeds play what. Makes no world."""

from dataclasses import replace

from tests.simulation.blows import BLOWS, Kind
from tests.simulation.faults import EVERYTHING, JOURNAL, NONE, PLATFORM, RESULTS, TRANSACTIONS, Chances

STYLES: dict[str, tuple[Chances, tuple[Kind, ...], int]] = {
    "calm": (NONE, ("join", "rebalance", "stop"), 1),
    "owners": (
        JOURNAL,
        (
            "crash",
            "freeze",
            "suspend",
            "deaf",
            "rebalance",
            "journal_down",
            "rebalance",
            "deaf",
            "slip",
            "hold",
            "cancel",
        ),
        5,
    ),
    "platform": (PLATFORM, ("crash", "denied", "deaf", "stop", "clock", "rebalance", "hold", "cancel"), 3),
    "results": (
        RESULTS,
        (
            "results_refused",
            "deaf",
            "journal_small",
            "results_down",
            "crash",
            "rebalance",
            "stop",
            "interrupt",
            "brokers_down",
        ),
        3,
    ),
    "tools": (
        JOURNAL | TRANSACTIONS,
        ("rewind", "forget", "forward", "journal_cut", "events_cut", "crash", "rebalance", "slip"),
        4,
    ),
    "storm": (EVERYTHING, tuple(kind for kind in BLOWS if kind != "recreated"), 5),
    "campaigns": (PLATFORM, ("crash", "denied", "away", "stop", "deaf", "rebalance", "away", "hold"), 2),
    "other groups": (JOURNAL, ("intruder", "intruder", "stranger", "slip", "rebalance", "crash", "deaf"), 5),
    "lost journal": (JOURNAL, ("recreated", "deaf", "deaf", "rebalance", "crash", "freeze"), 6),
}
"""By name: what goes wrong by chance, which blows fall, and about how many of them."""

ROTATION = (
    "owners",
    "platform",
    "storm",
    "results",
    "owners",
    "tools",
    "platform",
    "calm",
    "other groups",
    "lost journal",
    "campaigns",
)
"""Seed modulo its length: which style a seed plays."""


SILENCE_FROM = 1_000_000
"""Seeds from here on play a platform that answers hardly ever, while owners come and go: what counts lost answers over all
owners is too rare in other worlds."""
SILENCE: tuple[Chances, tuple[Kind, ...], int] = (
    replace(PLATFORM, answer_lost=0.5, hang=0.1),
    ("crash", "crash", "stop", "rebalance"),
    4,
)


RIVALS_FROM = 2_000_000
"""Seeds from here on play campaigns in which one event takes another's place."""
RIVALS: tuple[Chances, tuple[Kind, ...], int] = (
    PLATFORM | JOURNAL,
    ("crash", "stop", "rebalance", "deaf", "freeze", "cancel", "away"),
    3,
)
POLICIES = (("keep_latest", "keep_latest"), ("keep_latest", "keep_first"), ("keep_first", "separate"))


URGENT_FROM = 3_000_000
"""Seeds from here on play the styles in their rotation, in worlds with one more partition, of an urgent topic."""


PARKED_FROM = 4_000_000
"""Seeds from here on read ahead of a small buffer: a backlog, urgent events behind it, campaigns that are held or throttled."""
PARKED: tuple[Chances, tuple[Kind, ...], int] = (
    PLATFORM | JOURNAL | TRANSACTIONS,
    ("crash", "stop", "rebalance", "deaf", "freeze", "hold", "hold", "cancel", "away", "results_down"),
    4,
)


URGENT_AND_PARKED_FROM = 5_000_000
"""Seeds from here on do the same, in worlds with one more partition, of an urgent topic."""


PARKED_AGAIN_FROM = 6_000_000
"""Seeds from here on do so while campaigns are held and throttled far more often: what is in hand is parked again."""
PARKED_AGAIN: tuple[Chances, tuple[Kind, ...], int] = (
    replace(PLATFORM | JOURNAL | TRANSACTIONS, throttled=0.3),
    ("hold", "hold", "hold", "hold", "hold", "hold", "crash", "stop", "rebalance", "freeze", "cancel", "results_down"),
    9,
)


def has_urgent_topic(seed: int) -> bool:
    """Return whether a seed's world has an urgent topic."""
    return URGENT_FROM <= seed < PARKED_FROM or URGENT_AND_PARKED_FROM <= seed < PARKED_AGAIN_FROM


def style_of(seed: int) -> tuple[str, tuple[Chances, tuple[Kind, ...], int]]:
    """Return the name of the style that a seed plays, what goes wrong in it by chance, which blows fall, and how many."""
    if seed >= PARKED_AGAIN_FROM:
        return "parked again", PARKED_AGAIN
    if seed >= PARKED_FROM:
        return "parked", PARKED
    if seed >= URGENT_FROM:
        style = ROTATION[seed % len(ROTATION)]
        return style, STYLES[style]
    if seed >= RIVALS_FROM:
        return "rivals", RIVALS
    if seed >= SILENCE_FROM:
        return "silence", SILENCE
    style = ROTATION[seed % len(ROTATION)]
    return style, STYLES[style]
