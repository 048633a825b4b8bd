"""What `/status` says of what the metrics have counted since the start. Counts nothing itself."""

from consumer.edge.telemetry.metrics import Metrics
from consumer.service.facts import Priority
from consumer.service.status_shape import Counted


def counted(metrics: Metrics) -> Counted:
    """Return the totals, and the distribution of acceptance delays."""
    delays = metrics.acceptance_delay
    return Counted(
        records_read=int(sum(metrics.records_read.totals("topic").values())),
        requests=int(sum(metrics.requests.totals("priority").values())),
        acceptance={
            "bounds": delays.bounds,
            "normal": delays.counts((Priority.NORMAL,)),
            "immediate": delays.counts((Priority.IMMEDIATE,)),
        },
    )
