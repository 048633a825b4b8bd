"""The unit for systemd: understood to its last word, hardened, and in step with what the service needs."""

import re
import subprocess
import sys
from pathlib import Path

from config.durations import parse_duration
from config.settings import Shutdown
from consumer.service.progress import STILL_SECONDS
from consumer.service.troubles import STUCK_SECONDS

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "campaign-consumer.service"
EXPOSURE = 12
"""Of 100, at most: systemd counts what a unit may do beyond what it needs."""


def of(name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)
    return str(value)


def analyze(*arguments: str | Path) -> str:
    command = ["systemd-analyze", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/campaign-consumer/bin/campaign-consumer", sys.executable))
    assert analyze("verify", unit) == ""


def test_a_line_that_systemd_does_not_know_is_seen(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    text = UNIT.read_text("utf-8").replace("/opt/campaign-consumer/bin/campaign-consumer", sys.executable)
    unit.write_text(text.replace("WatchdogSec=", "WatchdogSeconds="))
    assert "WatchdogSeconds" in analyze("verify", unit)


def test_it_may_do_hardly_more_than_it_needs() -> None:
    analyze("security", "--offline=true", f"--threshold={EXPOSURE}", UNIT)


def test_it_is_given_the_time_that_the_service_asks_for() -> None:
    grace: float = Shutdown.model_fields["grace_seconds"].default
    assert parse_duration(of("TimeoutStopSec")) >= grace + 10
    assert parse_duration(of("WatchdogSec")) >= STILL_SECONDS + STUCK_SECONDS


def test_it_starts_the_service_and_does_not_retry_a_wrong_configuration() -> None:
    command, verb, *_ = of("ExecStart").split()
    assert (Path(command).name, verb) == ("campaign-consumer", "run")
    assert of("RestartPreventExitStatus") == "2"
