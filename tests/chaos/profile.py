"""How long the faults last: as CAMPAIGN_TEST_PROFILE chooses, the whole time in `soak`, a shorter one elsewhere."""

import asyncio
import os

WHOLE = os.environ.get("CAMPAIGN_TEST_PROFILE") == "soak"

OUTAGE_SECONDS = 60.0 if WHOLE else 16.0
"""All brokers are away. The shorter one is past the session time-out (10 s) and every acknowledgement's (5 s)."""
SHORT_STALL_SECONDS = 3.0
"""Longer than a proof is waited for (2 s), shorter than an acknowledgement (5 s)."""
KILLS = 20 if WHOLE else 8
"""In a row."""
STORM_ROUNDS = 12 if WHOLE else 3
"""In each of which an instance joins and another one leaves."""


async def let_last(seconds: float) -> None:
    """Let a fault last: here time is not what is waited for, it is what the fault is made of."""
    await asyncio.sleep(seconds)
