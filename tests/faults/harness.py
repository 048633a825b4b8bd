"""A platform client against a raw server, and what every exchange must keep to. Owns no fault."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pydantic import SecretStr

from config.proxy import Proxy
from consumer.core.platform.answer import Exchange, Lost, NoConnectionYet, Unreachable, Withholding
from consumer.core.terms import Instant, Now, Ticks
from consumer.edge.platform.client import PlatformClient

KEY = "s3cret-key"
PHONE = "+34600111222"
BODY = b'{"campaignId":421,"contacts":[{"phoneE164":"+34600111222"}]}'
SECRETS = (KEY, PHONE, "600111222", "hidden-token", "pa:ss", "pa%3Ass", "Basic ")

SHORT_SECONDS = 0.15
"""For time-outs that are meant to come."""

AMPLE_SECONDS = 1.0
"""For time-outs that are meant to come after something that must come in time, also on a busy machine."""

LONG_SECONDS = 20.0
"""For time-outs that are not."""


class CountingClock:
    """Goes on by one second with every reading: whoever read first is seen from the number."""

    def __init__(self) -> None:
        self.readings = 0

    def now(self) -> Now:
        self.readings += 1
        return Now(Instant(1000.0 + self.readings), Ticks(float(self.readings)))


class Look:
    """A last look that counts how often it is asked, and says what it was told to say."""

    def __init__(self, says: Withholding | None = None) -> None:
        self.says = says
        self.asked = 0

    def __call__(self) -> Withholding | None:
        self.asked += 1
        return self.says


@asynccontextmanager
async def platform(
    url: str,
    *,
    timeout_seconds: float = LONG_SECONDS,
    connect_timeout_seconds: float = LONG_SECONDS,
    keep_alive_seconds: float = LONG_SECONDS,
    max_connections: int = 4,
    surprises: list[Exception] | None = None,
    tls: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
) -> AsyncIterator[PlatformClient]:
    """A client that is closed on leaving. An error that it did not expect fails the test that names no `surprises`."""
    surprised: list[Exception] = [] if surprises is None else surprises
    client = PlatformClient(
        url=url,
        server_key=SecretStr(KEY),
        timeout_seconds=timeout_seconds,
        connect_timeout_seconds=connect_timeout_seconds,
        keep_alive_seconds=keep_alive_seconds,
        max_connections=max_connections,
        on_unexpected_error=surprised.append,
        clock=CountingClock(),
        ssl_context=tls,
        proxy=proxy,
    )
    try:
        yield client
    finally:
        await client.close()
        assert surprises is not None or surprised == []


def go_ahead() -> None:
    """Nothing is held against it."""


async def post(
    client: PlatformClient,
    body: bytes = BODY,
    *,
    look: Callable[[], Withholding | None] = go_ahead,
    expires_in_seconds: float | None = None,
) -> Exchange:
    """One attempt; what it says of itself must be consistent, and hold no secret."""
    exchange = await client.post(body, last_look=look, expires_in_seconds=expires_in_seconds)
    assert not any(secret in repr(exchange.answer) for secret in SECRETS), exchange
    match exchange.answer:
        case Unreachable() | NoConnectionYet():
            assert exchange.started_at is None
        case Lost():
            assert exchange.started_at is not None
        case _:
            pass
    if exchange.started_at is not None:
        assert exchange.started_at < exchange.finished_at
    return exchange
