"""How the commands that publish or look reach the brokers: as the service would. Needs no setting of the platform."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiokafka.helpers import create_ssl_context
from pydantic import TypeAdapter, ValidationError

import config
from config import kinds
from config.settings import Kafka

_NOT_NEEDED = {"CAMPAIGN_API__URL": "https://unused.invalid/send", "CAMPAIGN_API__SERVER_KEY": "unused"}
_BROKERS: TypeAdapter[tuple[str, ...]] = TypeAdapter(kinds.Brokers)


class BadBrokersError(ValueError):
    """What was given as brokers is no list of host:port; the message is one line."""


def kafka_settings(config_file: Path | None, environment: Mapping[str, str], *, bootstrap_servers: str | None) -> Kafka:
    """Return the settings about Kafka; `bootstrap_servers` wins over environment and file.

    Raises:
        config.ConfigurationError: a setting is wrong.
        BadBrokersError: `bootstrap_servers` is.
    """
    kafka = config.load(config_file, {**_NOT_NEEDED, **environment}).kafka
    if bootstrap_servers is None:
        return kafka
    try:
        brokers = _BROKERS.validate_python(bootstrap_servers)
    except ValidationError as error:
        raise BadBrokersError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    return kafka.model_copy(update={"bootstrap_servers": brokers})


def client_arguments(kafka: Kafka) -> Mapping[str, Any]:
    """Return what any aiokafka client must be given to reach these brokers."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": ",".join(kafka.bootstrap_servers),
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        arguments["ssl_context"] = create_ssl_context(
            cafile=_path(kafka.ssl_cafile), certfile=_path(kafka.ssl_certfile), keyfile=_path(kafka.ssl_keyfile)
        )
    if kafka.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = kafka.sasl_mechanism
        arguments["sasl_plain_username"] = kafka.sasl_username
        password = kafka.sasl_password
        arguments["sasl_plain_password"] = None if password is None else password.get_secret_value()
    return arguments


def hush_client_library() -> None:
    """Keep aiokafka's own log lines off the screen: what went wrong is said once, in a line of ours."""
    library = logging.getLogger("aiokafka")
    library.addHandler(logging.NullHandler())
    library.propagate = False


def _path(file: Path | None) -> str | None:
    return None if file is None else str(file)
