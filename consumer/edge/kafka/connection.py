"""How this process connects to the brokers, and what their refusals mean. Closes every connection that it opens."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiokafka.client
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.helpers import create_ssl_context
from aiokafka.protocol.metadata import MetadataRequest
from pydantic import SecretStr

from consumer.service.ports import RefusedError

# The client lets brokers create every topic that it asks about, and has no setting against it. A deleted results topic
# would come back with default partitions and settings. Asking must not create.
aiokafka.client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)

CLIENT_ID = "campaign-consumer"
REACH_SECONDS = 5.0
"""A broker that accepts a connection and does not answer in this time counts as unreachable."""
PATIENCE_SECONDS = 60.0
"""How long to wait for brokers at start: Kafka may be starting, too."""
ASK_AGAIN_SECONDS = 1.0

REFUSALS = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
"""Errors for which a retry is no use: credentials or permissions are wrong."""


class KafkaRefusedError(RefusedError):
    """The brokers refuse our credentials, or lack a permission for us. The message is one line and says what to do."""


class KafkaUnreachableError(Exception):
    """No broker answers. The message is one line and says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConnection:
    """The brokers' addresses and our credentials."""

    bootstrap_servers: tuple[str, ...]
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = field(default=None, repr=False)
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None

    def client_arguments(self) -> dict[str, Any]:
        """Return the arguments that any aiokafka client needs to reach these brokers."""
        return {"bootstrap_servers": list(self.bootstrap_servers), "client_id": CLIENT_ID, **self._security()}

    def _security(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.security_protocol.endswith("SSL"):
            arguments["ssl_context"] = create_ssl_context(
                cafile=self.ssl_cafile, certfile=self.ssl_certfile, keyfile=self.ssl_keyfile
            )
        if self.security_protocol.startswith("SASL"):
            password = self.sasl_password
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.sasl_username
            arguments["sasl_plain_password"] = None if password is None else password.get_secret_value()
        return arguments

    def __str__(self) -> str:
        return f"{','.join(self.bootstrap_servers)} ({self.security_protocol})"


async def reach(connection: KafkaConnection) -> None:
    """Return once one of the brokers has accepted a connection; tries each once.

    Raises:
        KafkaRefusedError: a broker refused us; a retry is no use.
        KafkaUnreachableError: none answered.
    """
    why = "no broker is named"
    security = connection._security()  # noqa: SLF001 - our own
    for host, port, _ in collect_hosts(list(connection.bootstrap_servers)):
        try:
            async with asyncio.timeout(REACH_SECONDS):
                reached = await create_conn(host, port, client_id=CLIENT_ID, **security)
        except REFUSALS as error:
            raise refused(error, connection) from error
        except ssl.SSLCertVerificationError as error:
            message = (
                f"the certificate of the broker at {host}:{port} is not trusted ({error.verify_message}): "
                "check CAMPAIGN_KAFKA__SSL_CAFILE and the host names in CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS"
            )
            raise KafkaRefusedError(message) from error
        except (KafkaError, OSError, TimeoutError) as error:
            why = f"{host}:{port}: {words(error)}"
        else:
            reached.close()
            return
    raise KafkaUnreachableError(
        f"no Kafka broker answers at {connection} ({why}): check CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS, "
        "CAMPAIGN_KAFKA__SECURITY_PROTOCOL and that the brokers run"
    )


async def until_reachable(
    connection: KafkaConnection,
    *,
    on_trouble: Callable[[str], None],
    patience_seconds: float = PATIENCE_SECONDS,
) -> None:
    """Return once a broker has accepted a connection; `on_trouble` gets the error of each round without an answer.

    Raises:
        KafkaRefusedError: a broker refused us; raised at once.
        KafkaUnreachableError: none has answered for `patience_seconds`.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + patience_seconds
    while True:
        try:
            return await reach(connection)
        except KafkaUnreachableError as error:
            if loop.time() >= give_up_at:
                raise
            on_trouble(str(error))
        await asyncio.sleep(ASK_AGAIN_SECONDS)


def refused(error: Exception, connection: KafkaConnection) -> KafkaRefusedError:
    """Return an error that says what a refusal means and what to do."""
    match error:
        case TopicAuthorizationFailedError():
            cure = "grant it READ and DESCRIBE on the events topics, READ, WRITE and DESCRIBE on the others"
        case GroupAuthorizationFailedError():
            cure = "grant it READ on the group CAMPAIGN_KAFKA__GROUP_ID"
        case TransactionalIdAuthorizationFailed():
            cure = "grant it WRITE and DESCRIBE on the transactional IDs that begin with campaign-replay-"
        case ClusterAuthorizationFailedError():
            cure = "grant it IDEMPOTENT_WRITE on the cluster (or WRITE on the topics), CREATE to create topics"
        case _:
            cure = "check CAMPAIGN_KAFKA__SASL_MECHANISM, __SASL_USERNAME, __SASL_PASSWORD and __SSL_CERTFILE"
    return KafkaRefusedError(f"the brokers at {connection} refuse us ({words(error)}): {cure}")


def words(error: BaseException) -> str:
    """Return an error's message in one line; its type's name where there is none."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    first, *_ = (str(error) or type(error).__name__).splitlines()
    return first
