"""`campaign-consumer sandbox`: runs the sandbox platform until a signal. Owns options, no behaviour."""

import asyncio
import gc
import json
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.cli.main import MISUSED, Failure

if TYPE_CHECKING:
    from consumer.sandbox.faults import Fault
    from consumer.sandbox.server import Sandbox

SECONDS_IN = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0}
ONE_LATENCY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|)")
BASE_LATENCY = "latency-option"
GC_THRESHOLDS = (50_000, 20, 100)
"""The sandbox keeps almost no reference cycles: collecting less often saves a tenth of its time."""


def read_latency(_: click.Context, __: click.Parameter, text: str | None) -> float | tuple[float, float] | None:
    """Return seconds, or a range of them, from `50ms`, `0.2`, `2s` or two of these with `..` between."""
    if text is None:
        return None
    found = [ONE_LATENCY.fullmatch(part) for part in text.split("..", maxsplit=1)]
    seconds = [float(match[1]) * SECONDS_IN[match[2]] for match in found if match is not None]
    if len(seconds) != len(found) or sorted(seconds) != seconds:
        raise click.BadParameter(f"{text} is no duration such as 50ms, 2s or 50ms..200ms")
    return seconds[0] if len(seconds) == 1 else (seconds[0], seconds[1])


def print_fault_page(ctx: click.Context, _: click.Parameter, value: object) -> None:
    """Print the page about faults and end."""
    if value and not ctx.resilient_parsing:
        from consumer.sandbox.fault_page import PAGE

        click.echo(PAGE, nl=False)
        ctx.exit()


@click.command(short_help="Run a strict double of the SMS platform that misbehaves on demand.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--server-key", default="sandbox-key", show_default=True, help="The only key that is accepted.")
@click.option("--schedule-field", default="scheduleAt", show_default=True, help="The JSON name of the schedule.")
@click.option("--max-contacts", type=click.IntRange(min=1), help="Refuse requests with more contacts (413).")
@click.option(
    "--latency", callback=read_latency, metavar="DURATION", help="Answer later: 50ms, 2s, or anything from 50ms..200ms."
)
@click.option("--faults", "fault_file", type=click.Path(path_type=Path), help="JSON file with faults.")
@click.option("--fault", "fault_texts", multiple=True, metavar="JSON", help="One fault; may be repeated.")
@click.option("--log", is_flag=True, help="Print one line for each request; never a phone number.")
@click.option(
    "--help-faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_fault_page,
    help="Describe all faults and endpoints on one page.",
)
def command(
    *,
    host: str,
    port: int,
    server_key: str,
    schedule_field: str,
    max_contacts: int | None,
    latency: float | tuple[float, float] | None,
    fault_file: Path | None,
    fault_texts: tuple[str, ...],
    log: bool,
) -> None:
    """Run the sandbox: a strict double of POST /v2/sms/send/list on this machine.

    It checks every rule of the platform, drops what the platform drops, and sends nothing. It remembers every contact
    that it accepted, shows them (GET /sandbox/summary), and fails in every way you ask for. Once it listens, it prints
    one line with its address. SIGTERM or SIGINT end it at once.
    """
    from consumer.sandbox.server import Sandbox

    faults = _faults(fault_file, fault_texts, latency)
    try:
        sandbox = Sandbox(
            host=host,
            port=port,
            server_key=server_key,
            schedule_field=schedule_field,
            max_contacts=max_contacts,
            faults=faults,
            log=_print_line if log else None,
        )
    except ValueError as error:
        raise _misused(f"--schedule-field: {error}") from None
    import uvloop

    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(sandbox))
        except OSError as error:
            raise Failure(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None


async def _run(sandbox: "Sandbox") -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with sandbox:
        _print_line(f"sandbox listening on {sandbox.url}")
        await stopped.wait()


def _faults(path: Path | None, texts: tuple[str, ...], latency: float | tuple[float, float] | None) -> "list[Fault]":
    from consumer.sandbox.faults import FaultMistakeError, parse_faults

    sources: list[tuple[str, str]] = [(f"--fault {number}", text) for number, text in enumerate(texts, start=1)]
    if path is not None:
        try:
            sources.insert(0, (f"--faults {path}", path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise _misused(f"--faults {path}: {getattr(error, 'strerror', None) or error}") from None
    faults: list[Fault] = []
    if latency is not None:
        faults += parse_faults({"fault": "latency", "seconds": latency, "name": BASE_LATENCY})
    for source, text in sources:
        try:
            faults += parse_faults(json.loads(text))
        except json.JSONDecodeError as error:
            raise _misused(f"{source}: not JSON: {error}") from None
        except FaultMistakeError as error:
            raise _misused(f"{source}: {error}") from None
    return faults


def _misused(message: str) -> Failure:
    return Failure(message, MISUSED)


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
