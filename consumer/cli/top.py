"""`campaign-consumer top`: the operations page in a terminal, over a service's HTTP port. Changes nothing."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import click

from consumer.cli.main import Failure, FiniteRange, config_option, environment

if TYPE_CHECKING:
    from config.settings import Http
    from consumer.top.asking import ServiceStatusJson, StatusAsker
    from consumer.top.rates import Rates

EVERYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing listens here
"""Where a service that listens on all addresses is reached from its own machine."""

HELP = """Show how a service stands, as its operations page does: for those who have only a terminal.

The verdict in a sentence, its causes and their headings in deploy/RUNBOOK.md; what lag consists of, by partition; rates
over the last seconds; which campaigns wait longest and for what; open windows, requests and the last failures.

The service is found by --url, else by HTTP__HOST and HTTP__PORT of the settings; HTTP__TOKEN is sent where it is
set. Ctrl-C ends it. --json prints what /status says, a line each time.

\b
campaign-consumer top
campaign-consumer top --once
campaign-consumer top --url http://10.0.0.7:9464 --every 5
campaign-consumer top --once --json | jq .verdict
"""


@click.command(help=HELP, short_help="Show how a service stands, live.")
@config_option
@click.option("--url", metavar="URL", help="The service's HTTP port.  [default: HTTP__HOST and HTTP__PORT]")
@click.option(
    "--every",
    "every_seconds",
    type=FiniteRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@click.option("--once", "is_once", is_flag=True, help="Look, print, end; rates are between two looks.")
@click.option("--json", "as_json", is_flag=True, help="Print what /status says, a line each time.")
def command(*, config_file: Path | None, url: str | None, every_seconds: float, is_once: bool, as_json: bool) -> None:
    """Look, show, look again."""
    from consumer.top.asking import NoStatusError, StatusAsker
    from consumer.traffic.connection import settings_without_platform

    http = settings_without_platform(config_file, environment()).http
    token = None if http.token is None else http.token.get_secret_value()
    asker = StatusAsker(url or _url_of(http), token)
    display: _Display = _JsonLines() if as_json else _Screen(is_once=is_once)
    try:
        asyncio.run(_watch(asker, display, every_seconds, is_once=is_once))
    except NoStatusError as error:
        raise Failure(str(error)) from None


def _url_of(http: "Http") -> str:
    host = EVERYWHERE.get(http.host, http.host)
    return f"http://[{host}]:{http.port}" if ":" in host else f"http://{host}:{http.port}"


class _Display(Protocol):
    looks_for_one: int
    """How many looks `--once` needs."""

    def start(self) -> None: ...

    def show(self, status: "ServiceStatusJson", at_seconds: float) -> None: ...

    def tell(self, trouble: str) -> None: ...

    def stop(self) -> None: ...


class _JsonLines:
    """The status as the service says it."""

    looks_for_one = 1

    def start(self) -> None:
        """Do nothing: the first line says it all."""

    def show(self, status: "ServiceStatusJson", at_seconds: float) -> None:  # noqa: ARG002 - the screen needs it
        """Print a status."""
        import orjson

        click.echo(orjson.dumps(status))

    def tell(self, trouble: str) -> None:
        """Say why there is none."""
        click.echo(trouble, err=True)

    def stop(self) -> None:
        """Do nothing: every line is out."""


class _Screen:
    """The whole terminal, kept up to date; elsewhere one picture below the other."""

    looks_for_one = 2

    def __init__(self, *, is_once: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        from consumer.top.rates import RateMeter

        self._console = Console()
        self._is_plain = not self._console.encoding.startswith("utf")
        self._is_live = self._console.is_terminal and not is_once
        self._live = Live(console=self._console, screen=True, auto_refresh=False) if self._is_live else None
        self._waits_for_second = is_once
        self._meter = RateMeter()
        self._shown: tuple[ServiceStatusJson, Rates] | None = None

    def start(self) -> None:
        """Take the terminal."""
        if self._live is not None:
            self._live.start()

    def show(self, status: "ServiceStatusJson", at_seconds: float) -> None:
        """Bring it up to date."""
        self._shown = (status, self._meter.take(status, at_seconds))
        if self._waits_for_second:
            self._waits_for_second = False
            return
        self._draw(None)

    def tell(self, trouble: str) -> None:
        """Say that what is shown is not of now, and why."""
        self._draw(trouble)

    def _draw(self, trouble: str | None) -> None:
        from consumer.top.view import EVERYTHING, screen

        if self._shown is None:
            return
        status, rates = self._shown
        width, height = self._console.size
        rows = height if self._is_live else EVERYTHING
        drawn = screen(status, rates, width=width, height=rows, is_plain=self._is_plain, trouble=trouble)
        if self._live is not None:
            self._live.update(drawn, refresh=True)
        else:
            self._console.print(drawn)

    def stop(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()


async def _watch(asker: "StatusAsker", display: _Display, every_seconds: float, *, is_once: bool) -> None:
    """Look and show, until a signal comes: that is how this ends.

    Raises:
        NoStatusError: there was no status to begin with.
    """
    loop, us = asyncio.get_running_loop(), asyncio.current_task()
    assert us is not None
    loop.add_signal_handler(signal.SIGTERM, us.cancel)  # asyncio.run does the same for SIGINT
    try:
        async with asker:
            status = await asker.status()
            display.start()
            display.show(status, loop.time())
            looks = 1
            while not is_once or looks < display.looks_for_one:
                await asyncio.sleep(every_seconds)
                await _look(asker, display)
                looks += 1
    except asyncio.CancelledError:
        us.uncancel()
    finally:
        display.stop()


async def _look(asker: "StatusAsker", display: _Display) -> None:
    from consumer.top.asking import NoStatusError

    try:
        status = await asker.status()
    except NoStatusError as error:
        display.tell(str(error))
    else:
        display.show(status, asyncio.get_running_loop().time())
