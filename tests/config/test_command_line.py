"""The command line answers at once, fails in one line, and says with its exit code what kind of failure it was."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from config import load
from config.settings import FieldNameSettings
from consumer import __version__
from consumer.cli.main import COMMANDS, INTERRUPTED, Failure, LazyGroup, load_settings, main
from consumer.cli.wiring import expectations, field_names, fingerprint, kafka_connection, policies
from consumer.core.policy import (
    BreakerPolicy,
    CampaignPolicy,
    Meaning,
    OnUnknown,
    Policies,
    RatePolicy,
    SameContact,
    WireNames,
)
from consumer.edge.kafka.topics import Expectations

REQUIRED = {"CAMPAIGN_API__URL": "https://eu.example.com/v2/sms/send/list", "CAMPAIGN_API__SERVER_KEY": "k-1"}
SURROUNDINGS = {name: value for name, value in os.environ.items() if not name.upper().startswith("CAMPAIGN_")}


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "consumer", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=SURROUNDINGS | environ,
        timeout=60,
    )


def test_help_names_every_command_and_imports_none_of_them() -> None:
    script = (
        "import json, sys\n"
        "from consumer.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=SURROUNDINGS)
    page, _, modules = done.stdout.rpartition("\n[")
    imported = json.loads(f"[{modules}")
    assert all(f"\n  {name}  " in page for name in COMMANDS)
    assert "consumer.cli.main" in imported
    assert not [name for name in imported if name.startswith(("pydantic", "aiokafka", "aiohttp", "httpx", "rich"))]
    assert not [name for name in imported if name.startswith("consumer.cli.") and name != "consumer.cli.main"]


def test_the_version_is_the_packages() -> None:
    assert run("--version").stdout == f"campaign-consumer {__version__}\n"


def test_a_command_that_does_not_exist_is_bad_usage() -> None:
    done = run("cheque")
    assert done.returncode == 2
    assert "No such command 'cheque'" in done.stderr


def test_a_failure_is_its_own_line_on_stderr_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def command() -> None:
        raise Failure("the broker is away; start it", 7)

    with pytest.raises(SystemExit) as ended:
        command([])
    assert ended.value.code == 7
    assert capsys.readouterr() == ("", "the broker is away; start it\n")


def test_interrupting_a_command_is_no_failure_of_its_work() -> None:
    @click.group(cls=LazyGroup)
    def group() -> None:
        raise KeyboardInterrupt

    assert CliRunner().invoke(group, ["schema"]).exit_code == INTERRUPTED


WAIT_WHILE_IMPORTING = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "uvloop":
            print("importing", flush=True)
            sys.stdin.readline()

sys.meta_path.insert(0, Finder())
"""
"""Lets a process wait for a line right in the middle of its imports."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_while_the_service_is_still_importing_ends_it_with_0(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WAIT_WHILE_IMPORTING, "utf-8")
    environment = SURROUNDINGS | REQUIRED | {"PYTHONPATH": str(tmp_path)}
    command, pipe = [sys.executable, "-m", "consumer", "run"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(number)
        out, err = process.communicate(b"go on\n", timeout=60)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_bad_configuration_is_a_line_a_mistake_without_a_traceback_and_exit_code_2() -> None:
    done = run("check", CAMPAIGN_API__URL="nowhere", CAMPAIGN_SHUTDOWN__GRACE="5s", CAMPAIGN_KAFKA__GRUP_ID="x")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "CAMPAIGN_API__SERVER_KEY (not set): must be set: the platform's server key; secret",
        "CAMPAIGN_API__URL=nowhere (environment): must begin with https:// or http:// and name a host",
        "CAMPAIGN_KAFKA__GRUP_ID (environment): unknown setting; did you mean CAMPAIGN_KAFKA__GROUP_ID?",
        "CAMPAIGN_SHUTDOWN__GRACE=5s (environment): must be at least CAMPAIGN_API__TIMEOUT (10s)",
    ]


def test_settings_are_read_from_the_file_that_the_command_line_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "campaign.toml"
    file.write_text('[kafka]\ngroup_id = "of-the-file"\n')
    assert load_settings(file).kafka.group_id == "of-the-file"
    file.write_text("[kafka]\ngroup = 1\n")
    with pytest.raises(Failure, match=r"did you mean kafka\.group_id") as raised:
        load_settings(file)
    assert raised.value.exit_code == 2


def test_the_settings_defaults_are_the_cores_defaults() -> None:
    settings = load(None, REQUIRED)
    assert policies(settings) == Policies(configuration=fingerprint(settings))
    assert field_names(load(None, REQUIRED)) == WireNames()


def test_a_configurations_fingerprint_tells_url_key_and_field_names_apart_and_gives_no_key_away() -> None:
    changes = {
        "CAMPAIGN_API__URL": "https://eu.example.com/v2/sms/send/lists",
        "CAMPAIGN_API__SERVER_KEY": "k-2",
        "CAMPAIGN_API__FIELD_NAMES__CONTACTS": "recipients",
        "CAMPAIGN_KAFKA__GROUP_ID": "another-group",
    }
    settings = load(None, REQUIRED)
    ours = fingerprint(settings)
    others = {fingerprint(load(None, REQUIRED | {name: value})) for name, value in changes.items()}
    assert len(others | {ours}) == 5
    assert ours == fingerprint(load(None, REQUIRED | {"CAMPAIGN_WINDOW__DURATION": "9s"}))
    assert (len(ours), "k-1" in ours) == (32, False)


UNUSUAL = {
    "KAFKA__MAX_EVENT_AGE": "2h",
    "KAFKA__MAX_AHEAD": "11",
    "KAFKA__READ_AHEAD": "true",
    "WINDOW__DURATION": "3s",
    "WINDOW__MAX_CONTACTS": "12",
    "WINDOW__MAX_BYTES": "13 KiB",
    "DELIVERY__MAX_CONCURRENCY": "14",
    "DELIVERY__MIN_CONCURRENCY": "2",
    "DELIVERY__ADAPTIVE_CONCURRENCY": "false",
    "DELIVERY__RESERVED_CONCURRENCY": "3",
    "DELIVERY__RATE_LIMIT__REQUESTS_PER_SECOND": "25.5",
    "DELIVERY__RATE_LIMIT__CONTACTS_PER_SECOND": "26",
    "DELIVERY__RATE_LIMIT__SCOPE": "instance",
    "DELIVERY__WEIGHT": "27",
    "DELIVERY__CHECK_NUMBERS": "true",
    "DELIVERY__SAME_CONTACT": "keep_latest",
    "DELIVERY__BREAKER__FAILURE_RATIO": "0.28",
    "DELIVERY__BREAKER__MIN_REQUESTS": "29",
    "DELIVERY__BREAKER__WINDOW": "30s",
    "DELIVERY__BREAKER__OPEN_FOR": "31s",
    "DELIVERY__BREAKER__MAX_OPEN_FOR": "32s",
    "DELIVERY__MAX_CONCURRENCY_PER_CAMPAIGN": "15",
    "DELIVERY__ON_UNKNOWN_OUTCOME": "hold",
    "DELIVERY__EXPIRES_AFTER": "16s",
    "DELIVERY__RETRY__MAX_ATTEMPTS": "17",
    "DELIVERY__RETRY__MAX_AGE": "18s",
    "DELIVERY__RETRY__BASE": "1s",
    "DELIVERY__RETRY__MAX": "19s",
    "DELIVERY__RETRY__LOST_ANSWER_REPEATS": "20",
    "DELIVERY__ANSWERS__500": "not_delivered",
    "DELIVERY__DRY_RUN": "true",
    "DELIVERY__TEST_RECIPIENTS": "+34600111222,cust-1",
    "DEDUPLICATION__TTL": "21s",
    "DEDUPLICATION__MAX_ENTRIES": "22",
    "KAFKA__URGENT_TOPICS": "otp,alarms",
    "BUFFER__MAX_EVENTS": "23",
    "BUFFER__MAX_BYTES": "24 MiB",
} | {f"API__FIELD_NAMES__{name.upper()}": f"wire_{name}" for name in FieldNameSettings.model_fields}
"""A value for every setting that the core goes by, none of them its default."""


def test_every_setting_that_the_core_goes_by_reaches_it() -> None:
    settings = load(None, REQUIRED | {f"CAMPAIGN_{name}": value for name, value in UNUSUAL.items()})
    assert policies(settings) == Policies(
        configuration=fingerprint(settings),
        default=CampaignPolicy(
            window_seconds=3,
            max_contacts=12,
            max_bytes=13 * 1024,
            expires_after_seconds=16,
            on_unknown=OnUnknown.HOLD,
            max_concurrency=15,
            weight=27,
            check_numbers=True,
            same_contact=SameContact.KEEP_LATEST,
            max_attempts=17,
            max_age_seconds=18,
            backoff_base_seconds=1,
            backoff_max_seconds=19,
            lost_answer_repeats=20,
            answers={500: Meaning.NOT_DELIVERED},
        ),
        field_names=WireNames(**{field.name: f"wire_{field.name}" for field in dataclasses.fields(WireNames)}),
        max_concurrency=14,
        min_concurrency=2,
        adaptive_concurrency=False,
        reserved_concurrency=3,
        rate=RatePolicy(requests_per_second=25.5, contacts_per_second=26),
        rates_of_group=False,
        breaker=BreakerPolicy(
            failure_ratio=0.28, min_requests=29, window_seconds=30, open_seconds=31, max_open_seconds=32
        ),
        dry_run=True,
        test_recipients=("+34600111222", "cust-1"),
        urgent_topics=frozenset({"otp", "alarms"}),
        max_event_age_seconds=7200,
        max_ahead=11,
        read_ahead=True,
        buffer_max_events=23,
        buffer_max_bytes=24 * 1024**2,
        deduplication_ttl_seconds=21,
        deduplication_max_entries=22,
    )


def test_how_kafka_is_reached_and_which_topics_must_be_there_are_as_set() -> None:
    settings = load(
        None,
        REQUIRED
        | {
            "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": "a:1,b:2",
            "CAMPAIGN_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "CAMPAIGN_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
            "CAMPAIGN_KAFKA__SASL_USERNAME": "me",
            "CAMPAIGN_KAFKA__SASL_PASSWORD": "hush-4711",
            "CAMPAIGN_KAFKA__EVENTS_TOPICS": "x,y",
            "CAMPAIGN_KAFKA__URGENT_TOPICS": "z",
            "CAMPAIGN_KAFKA__RESULTS_TOPIC": "r",
            "CAMPAIGN_KAFKA__DEAD_LETTER_TOPIC": "d",
        },
    )
    connection = kafka_connection(settings)
    assert "hush-4711" not in repr(connection)
    assert connection.client_arguments() == {
        "bootstrap_servers": ["a:1", "b:2"],
        "client_id": "campaign-consumer",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "me",
        "sasl_plain_password": "hush-4711",
    }
    journals = {"x": "x-journal", "y": "y-journal", "z": "z-journal"}
    assert expectations(settings) == Expectations(
        journals=journals,
        results="r",
        dead_letter="d",
        control="campaign-consumer-control",
        urgent=frozenset({"z"}),
    )


def test_what_is_set_for_one_campaign_reaches_the_core_and_no_other_campaign() -> None:
    settings = load(
        None,
        REQUIRED
        | {
            "CAMPAIGN_WINDOW__MAX_CONTACTS": "77",
            "CAMPAIGN_DELIVERY__ANSWERS__500": "not_delivered",
            "CAMPAIGN_DELIVERY__MAX_CONCURRENCY": "9",
            "CAMPAIGN_CAMPAIGNS__421__WINDOW__DURATION": "0",
            "CAMPAIGN_CAMPAIGNS__421__DELIVERY__ON_UNKNOWN_OUTCOME": "hold",
            "CAMPAIGN_CAMPAIGNS__421__DELIVERY__EXPIRES_AFTER": "5m",
            "CAMPAIGN_CAMPAIGNS__421__DELIVERY__RETRY__BASE": "1s",
            "CAMPAIGN_CAMPAIGNS__421__DELIVERY__ANSWERS__418": "refused",
        },
    )
    ours = policies(settings)
    everybody = CampaignPolicy(max_contacts=77, answers={500: Meaning.NOT_DELIVERED})
    assert ours.max_concurrency == 9
    assert ours.of(8) == everybody
    assert ours.of(421) == CampaignPolicy(
        window_seconds=0,
        max_contacts=77,
        on_unknown=OnUnknown.HOLD,
        expires_after_seconds=300,
        backoff_base_seconds=1,
        answers={500: Meaning.NOT_DELIVERED, 418: Meaning.REFUSED},
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_its_help_reads_well(name: str) -> None:
    done = run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: python -m consumer {name} ")
    assert max(map(len, done.stdout.splitlines())) <= 120


@pytest.mark.parametrize(
    "command",
    [["replay"], ["replay", "plan"], ["replay", "run"], ["replay", "status"], ["results"], ["produce"], ["top"]],
    ids=" ".join,
)
def test_the_help_for_those_who_look_and_resend_reads_well_in_eighty_columns(command: list[str]) -> None:
    done = run(*command, "--help", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("option", [["--at", "7"], ["--yes"]])
def test_how_to_accept_without_what_is_bad_usage(option: list[str]) -> None:
    done = run("inspect", *option)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--at and --yes belong to --accept TOPIC:PARTITION and --accept-all\n"


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "command", [["produce", "--rate"], ["replay", "run", "plan.json", "--rate"], ["demo", "--rate"]], ids=" ".join
)
def test_a_rate_is_a_finite_number(command: list[str], number: str) -> None:
    done = CliRunner().invoke(main, [*command, number])
    assert done.exit_code == 2
    assert "Invalid value for '--rate'" in done.output


def test_main_is_what_the_console_script_calls() -> None:
    assert isinstance(main, LazyGroup)
