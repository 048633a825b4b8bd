"""Whatever a server says, each request comes to one end, and the right one: a complete head that can be read is never lost.

CAMPAIGN_TEST_PROFILE says how many exchanges. A failure names the seed and the number: `wild_answer(seed, number)` makes
it again, and CAMPAIGN_TEST_SEED plays its whole run.
"""

import asyncio
import os
import re

import pytest

from consumer.core.platform.answer import Answered, Exchange, Lost
from consumer.edge.platform.answer_content import MAX_BODY_BYTES
from consumer.edge.platform.client import MAX_RETRY_AFTER_SECONDS, PlatformClient
from tests.faults.harness import platform, post
from tests.faults.raw_server import Peer, RawServer
from tests.faults.wild_answers import End, WildAnswer, wild_answer

PROFILE = os.environ.get("CAMPAIGN_TEST_PROFILE", "dev")
EXCHANGES = {"dev": 500, "ci": 1_000, "soak": 50_000}[PROFILE]
"""For each of the two event loops."""

SEED = int(os.environ.get("CAMPAIGN_TEST_SEED", "1"))
AT_ONCE = 16
NUMBER = re.compile(rb'"number":(\d+)')


async def say(peer: Peer, answer: WildAnswer) -> None:
    """Say it part by part. An end comes with the last one: later it might meet the next request, and lose that."""
    *parts, last = answer.parts or (b"",)
    for part in parts:
        peer.say(part)
        await peer.delivered()
    peer.say(last)
    match answer.end:
        case End.CLOSE:
            peer.close()
        case End.RESET:
            peer.reset()
        case End.WAIT:
            pass


async def answer_by_number(peer: Peer) -> None:
    """Answer each request as its number says; what comes after the end of a connection is another one's."""
    while True:
        found = NUMBER.search(await peer.request())
        assert found is not None
        answer = wild_answer(SEED, int(found[1]))
        await say(peer, answer)
        if answer.end is not End.WAIT:
            await peer.gone()
            return


def judge(answer: WildAnswer, exchange: Exchange) -> None:
    """Say what is wrong with how a request ended."""
    heard, status = exchange.answer, answer.status
    assert exchange.started_at is not None
    if status is None:
        assert isinstance(heard, Lost), "an incomplete head, or none, is no answer"
        return
    if answer.end is End.RESET and isinstance(heard, Lost):
        return  # the system drops what it has not handed over when the other side resets
    assert isinstance(heard, Answered), "a complete head whose status line can be read is never lost"
    assert heard.status == status
    assert heard.body is None or len(heard.body) <= MAX_BODY_BYTES
    assert heard.retry_after_seconds is None or 0 <= heard.retry_after_seconds <= MAX_RETRY_AFTER_SECONDS
    if answer.intact:
        assert heard.body == answer.body, "what is by the book is read whole"


async def play(client: PlatformClient, numbers: list[int]) -> None:
    while numbers:
        number = numbers.pop()
        exchange = await post(client, b'{"number":%d}' % number)
        answer = wild_answer(SEED, number)
        try:
            judge(answer, exchange)
        except AssertionError as error:
            error.add_note(f"wild_answer({SEED}, {number}): {answer}\n{exchange}")
            raise


@pytest.mark.timeout(3600)
async def test_whatever_a_server_says_is_an_answer_or_a_lost_one_and_never_the_wrong_one() -> None:
    numbers = list(range(EXCHANGES))
    async with (
        RawServer(answer_by_number) as server,
        platform(server.url, max_connections=AT_ONCE, timeout_seconds=60.0) as client,
    ):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(play(client, numbers))
        assert server.requests == EXCHANGES, "no request is ever repeated by the client"


@pytest.mark.parametrize("number", range(20))
def test_one_seed_and_one_number_make_one_answer(number: int) -> None:
    assert wild_answer(SEED, number) == wild_answer(SEED, number)


def test_the_answers_are_as_wild_as_they_should_be() -> None:
    made = [wild_answer(SEED, number) for number in range(1000)]
    statuses = [answer.status for answer in made if not answer.intact]
    assert statuses.count(None) > 50, "heads that are none"
    assert len(statuses) - statuses.count(None) > 200, "heads that are still one"
    assert all(answer.status is not None for answer in made if answer.intact)
