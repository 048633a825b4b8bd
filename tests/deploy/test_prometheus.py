"""A real Prometheus scrapes the real service."""

from pathlib import Path

import pytest

from tests.deploy.prometheus import Refused, Target, prometheus_on
from tests.service.events import event, written
from tests.service.harness import stage_on
from tests.support.cluster import Cluster

ALWAYS = {"groups": [{"name": "mine", "rules": [{"alert": "Always", "expr": "vector(7)"}]}]}


async def test_prometheus_scrapes_the_service(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start()
        target = Target(url=service.url, labels={"group": stage.group})
        async with prometheus_on(tmp_path, targets=[target]) as prometheus:
            await prometheus.until_scraped()

            await stage.results.until(await stage.publish([written(event(7, person)) for person in range(36)]))

            (read,) = await prometheus.until("sum by (group) (campaign_records_read_total) == 36")
            assert read.labels == {"group": stage.group}
            await prometheus.until('campaign_results_total{status="accepted"} == 36')
            types = await prometheus.metric_types()
            assert types["campaign_results_total"] == "counter"
            assert types["campaign_acceptance_delay_seconds"] == "histogram"
        assert await service.stop() == 0


async def test_an_alert_of_a_rules_file_fires(tmp_path: Path) -> None:
    async with prometheus_on(tmp_path, rules=[ALWAYS]) as prometheus:
        (alert,) = await prometheus.until_firing("Always")

        assert alert.labels == {"alertname": "Always"}
        assert [rule["health"] for rule in await prometheus.rules()] == ["ok"]


async def test_a_mistake_in_a_rules_file_or_in_a_query_is_told(tmp_path: Path) -> None:
    wrong = {"groups": [{"name": "mine", "rules": [{"alert": "Never", "expr": "sum("}]}]}

    with pytest.raises(AssertionError, match="unclosed left parenthesis"):
        async with prometheus_on(tmp_path, rules=[wrong]):
            pass
    (tmp_path / "second").mkdir()
    async with prometheus_on(tmp_path / "second") as prometheus:
        with pytest.raises(Refused, match="unclosed left parenthesis"):
            await prometheus.query("sum(")
