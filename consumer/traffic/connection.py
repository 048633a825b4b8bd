"""Kafka settings for commands that only publish or read. Needs no setting of the platform."""

import logging
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

import config
from config import kinds
from config.settings import Kafka
from consumer.edge.kafka.connection import KafkaConnection

_NOT_NEEDED = {"CAMPAIGN_API__URL": "https://unused.invalid/send", "CAMPAIGN_API__SERVER_KEY": "unused"}
_BROKERS: TypeAdapter[tuple[str, ...]] = TypeAdapter(kinds.Brokers)


class BadBrokersError(ValueError):
    """The given brokers are no list of host:port; the message is one line."""


def kafka_settings(config_file: Path | None, environment: Mapping[str, str], *, bootstrap_servers: str | None) -> Kafka:
    """Return the settings about Kafka; `bootstrap_servers` overrides environment and file.

    Raises:
        config.ConfigurationError: a setting is wrong.
        BadBrokersError: `bootstrap_servers` is.
    """
    kafka = settings_without_platform(config_file, environment).kafka
    if bootstrap_servers is None:
        return kafka
    try:
        brokers = _BROKERS.validate_python(bootstrap_servers)
    except ValidationError as error:
        raise BadBrokersError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    return kafka.model_copy(update={"bootstrap_servers": brokers})


def settings_without_platform(config_file: Path | None, environment: Mapping[str, str]) -> config.Settings:
    """Return all settings, for commands that do not use the platform.

    Raises:
        config.ConfigurationError: a setting is wrong.
    """
    return config.load(config_file, {**_NOT_NEEDED, **environment})


def connection_of(kafka: Kafka) -> KafkaConnection:
    """Return the connection that these settings describe."""
    return KafkaConnection(
        bootstrap_servers=kafka.bootstrap_servers,
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism,
        sasl_username=kafka.sasl_username,
        sasl_password=kafka.sasl_password,
        ssl_cafile=kafka.ssl_cafile,
        ssl_certfile=kafka.ssl_certfile,
        ssl_keyfile=kafka.ssl_keyfile,
    )


def hush_client_library() -> None:
    """Silence aiokafka's log lines: the command prints each error itself, in one line."""
    library = logging.getLogger("aiokafka")
    library.addHandler(logging.NullHandler())
    library.propagate = False
