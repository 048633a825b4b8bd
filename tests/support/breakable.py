"""A broker that tests break, with a second way in that leads through a proxy; and how it is made whole again."""

from dataclasses import dataclass

from consumer.demo.apache_kafka import ApacheKafka
from tests.support.kafka_proxy import KafkaProxy
from tests.support.listeners import Listener, add_listener, free_address


@dataclass(frozen=True, slots=True, kw_only=True)
class WayIn:
    """The address of the proxy, and where it leads."""

    proxy: str
    broker: str

    def open(self) -> KafkaProxy:
        """Return the proxy, to be entered."""
        return KafkaProxy(listen=self.proxy, broker=self.broker)


async def add_way_in(kafka: ApacheKafka) -> WayIn:
    """Let the broker send whoever comes through the proxy back through the proxy."""
    way_in = WayIn(proxy=free_address(), broker=free_address())
    await add_listener(kafka, Listener(name="PROXIED", address=way_in.broker, advertised=way_in.proxy))
    return way_in


async def mend(kafka: ApacheKafka, *, brokers: int) -> None:
    """Let all brokers run."""
    for number in range(1, brokers + 1):
        if kafka.broker(number).runs:
            kafka.thaw_broker(number)
        else:
            await kafka.start_broker(number)
