"""Builds the service from its settings: edges, service, HTTP server. Starts nothing and decides nothing."""

from dataclasses import replace

from config import Settings
from config.membership import Membership
from config.proxy import Proxy
from consumer import __version__
from consumer.cli.wiring import kafka_connection, platform_tls, policies
from consumer.core.sending.delivery import RandomSource
from consumer.edge.clock import SystemClock, jitter, new_process_id, new_send_id
from consumer.edge.http_server import HttpServer
from consumer.edge.kafka.control_log import KafkaControl
from consumer.edge.kafka.journal_log import KafkaJournal
from consumer.edge.kafka.reading.events_consumer import GroupConsumer
from consumer.edge.kafka.results_producer import KafkaResults
from consumer.edge.platform.client import PlatformClient
from consumer.edge.service_manager import ServiceManager
from consumer.edge.telemetry.counted import counted
from consumer.edge.telemetry.telemetry import Telemetry
from consumer.service.facts import During, Producer
from consumer.service.finding import Finder
from consumer.service.service import MemberIdentity, Service, World
from consumer.service.status import StatusBoard
from consumer.service.verdict_watch import VerdictWatch


def service_of(settings: Settings, telemetry: Telemetry, clock: SystemClock, proxy: Proxy | None) -> Service:
    """Return the service with its edges, ready to run."""
    kafka = settings.kafka
    return Service(
        identity=MemberIdentity(
            group=kafka.group_id,
            process=new_process_id(),
            version=__version__,
            results_topic=kafka.results_topic,
            dead_letter_topic=kafka.dead_letter_topic,
        ),
        policies=replace(policies(settings), keeps_traces=telemetry.keeps_traces),
        world=_world_of(settings, telemetry, clock, proxy),
        grace_seconds=settings.shutdown.grace_seconds,
        api_timeout_seconds=settings.api.timeout_seconds,
    )


def _world_of(settings: Settings, telemetry: Telemetry, clock: SystemClock, proxy: Proxy | None) -> World:
    kafka, api, connection = settings.kafka, settings.api, kafka_connection(settings)

    def on_trouble(why: str) -> None:
        telemetry.kafka_trouble(why=why)

    return World(
        consumer=GroupConsumer(
            connection,
            group=kafka.group_id,
            topics=kafka.all_events_topics,
            urgent_topics=frozenset(kafka.urgent_topics or ()),
            membership=Membership(session_seconds=kafka.session_timeout_seconds),
            instance_id=kafka.group_instance_id,
            on_trouble=on_trouble,
            on_records_lost=lambda partition, start, end: telemetry.records_lost(partition, start=start, stop=end),
            on_retention=telemetry.retention_known,
        ),
        journal=KafkaJournal(
            connection,
            topic_template=kafka.journal_topic,
            on_replaced=lambda why: telemetry.producer_replaced(Producer.JOURNAL, why=why),
            on_trouble=on_trouble,
        ),
        control=KafkaControl(connection, topic=kafka.control_topic_name, on_trouble=on_trouble),
        results=KafkaResults(
            connection,
            on_replaced=lambda why: telemetry.producer_replaced(Producer.RESULTS, why=why),
            on_trouble=on_trouble,
        ),
        platform=PlatformClient(
            url=api.url,
            server_key=api.server_key,
            timeout_seconds=api.timeout_seconds,
            connect_timeout_seconds=api.connect_timeout_seconds,
            keep_alive_seconds=api.keep_alive_seconds,
            max_connections=settings.delivery.max_concurrency,
            ssl_context=platform_tls(settings),
            proxy=proxy,
            clock=clock,
            on_unexpected_error=lambda error: telemetry.unexpected_error(during=During.REQUEST, error=error),
        ),
        clock=clock,
        random_source=RandomSource(jitter=jitter, send_id=new_send_id),
        facts=telemetry,
    )


def board_of(settings: Settings, service: Service, telemetry: Telemetry) -> StatusBoard:
    """Return what says how the service stands, to metrics and log as well."""
    board = StatusBoard(
        service,
        request_seconds=settings.api.connect_timeout_seconds + settings.api.timeout_seconds,
        kafka_troubled_at=lambda: telemetry.kafka_troubled_at,
        retention=lambda: telemetry.retention_seconds,
        counted=lambda: counted(telemetry.metrics),
    )
    telemetry.bind(board.status)
    service.watches.append(VerdictWatch(board.verdict, clock=service.clock, facts=telemetry).look)
    return board


def service_manager_of(address: str, service: Service, board: StatusBoard) -> ServiceManager:
    """Return what tells the service manager at this address how the service stands."""
    manager = ServiceManager(
        address,
        state=lambda: service.state,
        joined=lambda: service.is_in_group,
        healthy=lambda: board.health().ok,
        sentence=lambda: board.verdict().sentence,
    )
    service.watches.append(manager.look)
    return manager


def http_server_of(settings: Settings, service: Service, board: StatusBoard, telemetry: Telemetry) -> HttpServer:
    """Return the HTTP server that shows the service's state."""
    return HttpServer(
        host=settings.http.host,
        port=settings.http.port,
        metrics=telemetry.exposition,
        health=board.health,
        ready=board.ready,
        status=board.status,
        finder=Finder(service.pipeline, service.engine.recent_sends),
        token=None if settings.http.token is None else settings.http.token.get_secret_value(),
    )
