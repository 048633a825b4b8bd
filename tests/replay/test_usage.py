"""Questions that contradict themselves are refused before a broker is asked, and the help reads well on any terminal."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consumer.cli.main import main

NARROW = 80


def called(*arguments: str, **environment: str) -> Result:
    """Call the command with no broker to be reached."""
    nowhere = {"CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1", "CAMPAIGN_KAFKA__EVENTS_TOPICS": "events,other"}
    return CliRunner().invoke(main, ["replay", *arguments], env={**nowhere, **environment}, catch_exceptions=False)


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["--status", "accepted"], "add --include-accepted"),
        (["--include-accepted"], "goes with --status accepted"),
        (["--status", "failed,invalid"], "use --dead-letters"),
        (["--status", "duplicate"], "has an outcome of its own"),
        (["--status", ","], "',' names none of failed, rejected"),
        (["--status", "failed", "--status", ""], "names none of"),
        (["--status", "lost"], "'lost' is none of failed, rejected"),
        (["--skipped", "--dead-letters"], "plan them one after the other"),
        (["--edit", "letters.jsonl"], "--edit goes with --dead-letters"),
        (["--reason-contains", "phone"], "--reason-contains goes with --dead-letters"),
        (["--from", "yesterday"], "neither an instant such as"),
        (["--from", "2026-11-24T15:40:19"], "neither an instant such as"),
        (["--from", "1842"], "name it with --topic and --partition"),
        (["--to", "1842", "--topic", "events"], "name it with --topic and --partition"),
        (["--to", "1842", "--topic", "events", "--partition", "1", "--partition", "2"], "name it with --topic"),
        (["--topic", "events2"], "have no such topic (events, other)"),
        (["--extend-expiry", "0s"], "longer than nothing"),
        (["--extend-expiry", "soon"], "must be a duration"),
        (["--event", "\udcff"], "not UTF-8"),
        (["--rate", "0"], "x>0"),
    ],
)
def test_what_contradicts_itself_is_bad_usage_and_says_what_to_do(arguments: list[str], why: str) -> None:
    done = called("plan", *arguments)

    assert done.exit_code == 2
    assert why in " ".join(done.output.split())


@pytest.mark.parametrize("content, why", [(b"\n \n", "there is nothing in it"), (b"\xff\n", "not UTF-8")])
@pytest.mark.parametrize("option", ["--events", "--exclude"])
def test_a_file_that_names_nobody_is_refused(option: str, content: bytes, why: str, tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_bytes(content)

    done = called("plan", option, str(file))

    assert (done.exit_code, f"{option}: {why}" in done.output) == (2, True)


def test_a_broker_that_cannot_be_reached_is_said_in_one_line() -> None:
    done = called("plan", "--from", "-2h")

    assert done.exit_code == 1
    assert done.output.startswith("no Kafka broker answers at 127.0.0.1:1")
    assert done.output.count("\n") == 1


@pytest.mark.parametrize("command", [(), ("plan",), ("run",), ("status",)])
def test_the_help_fits_a_terminal_of_80_columns(command: tuple[str, ...]) -> None:
    help_page = called(*command, "--help", COLUMNS=str(NARROW)).output

    assert help_page.startswith("Usage: ")
    assert max(map(len, help_page.splitlines())) <= NARROW
    assert all(line == line.rstrip() or not line.strip() for line in help_page.splitlines())
