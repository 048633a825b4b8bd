"""A process of the real core whose telemetry is told what the engine tells it. Owns no assertion."""

from collections.abc import Mapping
from typing import Any

from consumer.core.commands import Commands, Fetched
from consumer.core.platform.answer import Answer, Answered, Exchange, Withholding
from consumer.core.sending.send import Send
from consumer.core.sending.settle import Decision
from consumer.edge.telemetry.telemetry import Telemetry
from consumer.service.engine_telemetry import EngineTelemetry
from tests.core.runner import Runner
from tests.edge.support import telemetry

OK = Answered(status=200, body=b'{"statusCode": 200, "data": {"id": 1}}', retry_after_seconds=None)


class Told(Runner):
    """A process whose telemetry is told what the engine tells it, in the engine's order."""

    def __post_init__(self) -> None:
        super().__post_init__()
        pipeline = self.pipeline
        self.telemetry: Telemetry = telemetry()
        teller = EngineTelemetry(self.telemetry, pipeline)
        fetch, turn, look, answer = pipeline.fetched, pipeline.turn, pipeline.last_look, pipeline.answered

        def fetched(lane: Any, records: Any, now: Any) -> Fetched:
            taken = fetch(lane, records, now)
            teller.fetched(lane.partition, taken)
            return taken

        def turned(now: Any) -> Commands:
            commands = turn(now)
            teller.turned(commands, now)
            return commands

        def looked(send: Send, now: Any) -> Withholding | None:
            withholding = look(send, now)
            if withholding is None:
                teller.posted(send, now)
            return withholding

        def answered(send: Send, exchange: Exchange, now: Any) -> Decision:
            members = list(send.members)
            decision = answer(send, exchange, now)
            teller.answered(send, members, exchange, decision, now)
            return decision

        for name, told in (("fetched", fetched), ("turn", turned), ("last_look", looked), ("answered", answered)):
            setattr(pipeline, name, told)

    def people(self, *phones: str, **changes: Any) -> None:
        """One event for each of these arrives, and everything takes its course."""
        self.feed(*(self.event(phone=phone, **changes) for phone in phones))
        self.run()

    def value(self, name: str, labels: Mapping[str, str]) -> float | None:
        """What a scrape says."""
        return self.telemetry.metrics.registry.get_sample_value(name, dict(labels))


def answering(*answers: Answer) -> Any:
    """A platform that gives these answers, half a second after the first byte each, and accepts from then on."""
    left = list(answers)
    return lambda _request: (left.pop(0) if left else OK, 0.5)
