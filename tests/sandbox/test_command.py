"""`campaign-consumer sandbox` as people run it: a process with options, signals and exit codes."""

import asyncio
import json
import signal
from pathlib import Path

import httpx
import pytest

from consumer.sandbox.client import SandboxClient
from tests.sandbox.support import MARIA, NO_TLS, PAUL, running, send, sender_to, start_command


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_at_once_even_while_requests_hang(number: signal.Signals) -> None:
    async with running("--fault", '{"fault": "hang"}') as sandbox, sender_to(sandbox.url) as sender:
        _, writer = await sender.open(send(MARIA))
        async with SandboxClient(sandbox.url) as ask:
            await ask.wait(in_flight=1)
            async with asyncio.timeout(2):
                assert await sandbox.stop(number) == (0, "", "")
        writer.close()


async def test_options_set_key_schedule_limit_and_faults(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"fault": "refuse_campaign", "campaign": 7}]))
    options = ["--server-key", "k2", "--schedule-field", "sendDate", "--max-contacts", "1", "--latency", "30ms..60ms"]
    fault = '{"fault": "status", "status": 500, "campaign": 8}'
    async with running(*options, "--faults", str(faults), "--fault", fault) as sandbox:
        headers = {"Authorization": "ServerKey k2"}
        async with httpx.AsyncClient(headers=headers, trust_env=False, verify=NO_TLS) as http:
            fine = await http.post(sandbox.url, json=send(MARIA, sendDate="2026-11-24T18:00:00Z"))
            statuses = [
                (await http.post(sandbox.url, json=document)).status_code
                for document in (send(MARIA, PAUL), send(MARIA, campaign=7), send(MARIA, campaign=8))
            ]
        assert fine.status_code == 200
        assert fine.elapsed.total_seconds() >= 0.03
        assert statuses == [413, 404, 500]


async def test_the_log_has_a_line_for_each_request_and_no_phone() -> None:
    async with running("--log") as sandbox, sender_to(sandbox.url) as sender:
        await sender.post(send(MARIA, MARIA))
        await sender.post(send({"phoneE164": "34600111222"}))
        code, out, err = await sandbox.stop()
    first, second = out.splitlines()
    assert first.startswith("request=1 campaign=421 outcome=accepted status=200 contacts=2 accepted=1 ms=")
    assert "outcome=invalid status=422" in second
    assert "contacts[0].phoneE164" in second
    assert (code, err) == (0, "")
    assert "600111222" not in out


async def test_without_the_log_option_it_says_one_line_only() -> None:
    async with running() as sandbox, sender_to(sandbox.url) as sender:
        await sender.post(send(MARIA))
        assert await sandbox.stop() == (0, "", "")


async def test_bytes_that_are_no_http_get_400_and_trouble_nobody() -> None:
    async with running() as sandbox, sender_to(sandbox.url) as sender:
        url = httpx.URL(sandbox.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"400"
        writer.close()
        assert (await sender.post(send(MARIA))).status_code == 200
        assert await sandbox.stop() == (0, "", "")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--fault", "{"], "--fault 1: not JSON"),
        (["--fault", '{"fault": "hang"}', "--fault", '{"fault": "hangs"}'], "--fault 2: fault 1: input tag"),
        (["--faults", "/nowhere/faults.json"], "--faults /nowhere/faults.json: No such file"),
        (["--latency", "soon"], "soon is no duration"),
        (["--latency", "2s..1s"], "2s..1s is no duration"),
        (["--schedule-field", "flash"], "--schedule-field: flash is the name of another field"),
    ],
)
async def test_a_wrong_option_is_one_line_and_exit_code_2(arguments: list[str], words: str) -> None:
    process = await start_command("--port", "0", *arguments)
    _, err = await process.communicate()
    assert process.returncode == 2
    assert words in err.decode()
    assert "Traceback" not in err.decode()


async def test_a_taken_port_is_one_line_and_exit_code_1() -> None:
    async with running() as sandbox:
        port = str(httpx.URL(sandbox.url).port)
        process = await start_command("--port", port)
        _, err = await process.communicate()
    assert process.returncode == 1
    assert err.decode().startswith(f"cannot listen on 127.0.0.1, port {port}: ")
    assert err.decode().count("\n") == 1


async def test_help_is_one_page_and_faults_another() -> None:
    for option, words in (("--help", "--help-faults"), ("--help-faults", "WHEN IT FIRES")):
        process = await start_command(option)
        out, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
        assert words in out.decode()
        assert max(len(line) for line in out.decode().splitlines()) <= 110
