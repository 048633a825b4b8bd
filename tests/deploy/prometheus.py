"""Starts Debian's Prometheus for a test, lets it scrape, and asks its HTTP API. Judges nothing.

    async with prometheus_on(tmp_path, targets=[Target(url=service.url)], rules=[RULES]) as prometheus:
        await prometheus.until_scraped()
        (sample,) = await prometheus.query("sum(campaign_records_read_total)")
        assert sample.value == 36
        await prometheus.until_firing("CampaignPlatformFailing")

The first scrape comes 5 s after the start, for reasons of Prometheus: let tests share one. Then it scrapes and evaluates every
`EVERY_SECONDS`, so a rate needs a range of 2 s or more. `Target.labels` are what a scrape configuration would add, such as
`group`. A rules file is given as a path, or as what stands in one. A mistake in a rules file keeps it from starting,
and its own words stand in the error.
"""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from consumer.demo.child_process import ChildProcess
from consumer.demo.surroundings import plain_environment
from tests.support.eventually import eventually

JOB = "campaign-consumer"
EVERY_SECONDS = 0.5
START_SECONDS = 30.0
END_SECONDS = 15.0
WITHIN_SECONDS = 30.0

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is scraped: the service's HTTP side, and labels beside `job` and `instance`."""

    url: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_scraped(self) -> Document:
        """Return it as a scrape configuration names it."""
        url = httpx.URL(self.url)
        return {"targets": [f"{url.host}:{url.port}"], "labels": dict(self.labels)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One series of an answer, at one instant."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert that is pending or firing."""

    name: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class Refused(Exception):  # noqa: N818 - it is the answer, not an accident
    """Prometheus has refused a query; the message is its own."""


class Prometheus:
    """A Prometheus that runs. Made by `prometheus_on`."""

    def __init__(self, http: httpx.AsyncClient, *, targets: int) -> None:
        self._http = http
        self._targets = targets

    async def query(self, expression: str) -> list[Sample]:
        """Return the present samples of an expression; a scalar is one sample without labels.

        Raises:
            Refused: it is no expression.
        """
        data = await self._ask("query", query=expression)
        if data["resultType"] in {"scalar", "string"}:
            return [Sample(labels={}, value=float(data["result"][1]))]
        return [Sample(labels=each["metric"], value=float(each["value"][1])) for each in data["result"]]

    async def until(self, expression: str, *, within_seconds: float = WITHIN_SECONDS) -> list[Sample]:
        """Return the samples of an expression, once there are some: `campaign_holds > 0`."""

        async def look() -> list[Sample]:
            return await self.query(expression)

        return await eventually(look, within_seconds=within_seconds, what=f"samples of {expression}")

    async def until_scraped(self) -> None:
        """Return once every target has been scraped."""
        await self.until(f'count(up{{job="{JOB}"}} == 1) == {self._targets}')

    async def alerts(self) -> list[Alert]:
        """Return what is pending or firing."""
        return [
            Alert(
                name=alert["labels"]["alertname"],
                state=alert["state"],
                labels=alert["labels"],
                annotations=alert["annotations"],
            )
            for alert in (await self._ask("alerts"))["alerts"]
        ]

    async def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {alert.name for alert in await self.alerts() if alert.state == "firing"}

    async def until_firing(self, *names: str, within_seconds: float = WITHIN_SECONDS) -> list[Alert]:
        """Return these alerts, once each of them fires; whether others do is the test's business."""

        async def look() -> list[Alert] | None:
            firing = [alert for alert in await self.alerts() if alert.state == "firing"]
            return firing if {alert.name for alert in firing} >= set(names) else None

        firing = await eventually(look, within_seconds=within_seconds, what=f"{', '.join(names)} firing")
        return [alert for alert in firing if alert.name in names]

    async def until_silent(self, *, within_seconds: float = WITHIN_SECONDS) -> None:
        """Return once no alert fires."""

        async def silent() -> bool:
            return not await self.firing()

        await eventually(silent, within_seconds=within_seconds, what="no alert firing")

    async def rules(self) -> list[dict[str, Any]]:
        """Return every rule with its `health` and `lastError`, and an alert's `state`."""
        groups = (await self._ask("rules"))["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def metric_types(self) -> dict[str, str]:
        """Return the type of every metric that was scraped, by the name that stands in METRICS.md."""
        found = {name: kinds[0]["type"] for name, kinds in (await self._ask("metadata")).items()}
        # In OpenMetrics, a counter is called by its name without the suffix of its samples.
        return {name + "_total" * (kind == "counter"): kind for name, kind in found.items()}

    async def _ask(self, what: str, **parameters: str) -> Any:
        answer = (await self._http.get(what, params=parameters)).json()
        if answer["status"] != "success":
            raise Refused(answer["error"])
        return answer["data"]


@asynccontextmanager
async def prometheus_on(
    folder: Path, *, targets: Sequence[Target] = (), rules: Sequence[Path | Document] = ()
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus in a folder of its own below `folder`, on a free port; it answers when this begins."""
    home = folder / "prometheus"
    home.mkdir()
    configuration, log = home / "prometheus.yml", home / "log"
    configuration.write_bytes(orjson.dumps(_configuration(home, targets, rules)))  # JSON is YAML, too
    process = await asyncio.to_thread(
        ChildProcess.start, _command(configuration, home), output=log, environment=plain_environment()
    )
    try:
        url = await _url(process, log)
        async with httpx.AsyncClient(base_url=f"{url}/api/v1/", trust_env=False, verify=False) as http:  # noqa: S501 - plain HTTP
            yield Prometheus(http, targets=len(targets))
    finally:
        process.send(signal.SIGTERM)
        await asyncio.to_thread(process.wait, END_SECONDS)


def _configuration(home: Path, targets: Sequence[Target], rules: Sequence[Path | Document]) -> Document:
    every = f"{EVERY_SECONDS * 1000:.0f}ms"
    files: list[str] = []
    for number, each in enumerate(rules):
        file = home / f"rules-{number}.yaml"
        file.write_bytes(each.read_bytes() if isinstance(each, Path) else orjson.dumps(each))
        files.append(str(file))
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": files,
        "scrape_configs": [{"job_name": JOB, "static_configs": [target.as_scraped() for target in targets]}],
    }


def _command(configuration: Path, home: Path) -> list[str]:
    return [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={home / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage",
    ]


async def _url(process: ChildProcess, log: Path) -> str:
    """Where it listens, once it takes questions."""

    async def ready() -> str | None:
        text = await asyncio.to_thread(log.read_text, "utf-8")
        if process.exit_code is not None:
            raise AssertionError(f"Prometheus ended with exit code {process.exit_code}:\n{text}")
        found = re.search(r'msg="Listening on" address=(\S+)', text)
        return f"http://{found[1]}" if found and "Server is ready" in text else None

    return await eventually(ready, within_seconds=START_SECONDS, what=f"Prometheus ready ({log})")
