"""The types of settings' values, as annotated types with validators. Knows no setting by name, compares no two."""

import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BeforeValidator, SecretStr

from config.durations import NO_VALUE

LARGEST_CAMPAIGN_ID: Final = 2**63 - 1
LARGEST_PORT: Final = 2**16 - 1
KAFKA_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)
JSON_LIST: Final = re.compile(r"""\s*\[\s*["\]]""")
"""The beginning of a JSON list; an IPv6 address begins with a bracket, too."""
NUMBER_HINT: Final = "must be a number"
DECIMAL: Final = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?", re.ASCII)
PROXY_HINT: Final = "must be http://host:port, or http://user:password@host:port with both percent-encoded"
URL_EXAMPLE: Final = "https://eu.example.com/v2/sms/send/list"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRule:
    """The allowed keys of a table whose keys are numbers; `what` describes one for messages."""

    lowest: int
    highest: int
    what: str

    def admits(self, key: str) -> bool:
        """Return whether `key` is such a number, without sign, space or leading zero."""
        return re.fullmatch(r"[1-9][0-9]{0,18}", key, re.ASCII) is not None and self.lowest <= int(key) <= self.highest


HTTP_STATUSES: Final = KeyRule(lowest=100, highest=599, what="an HTTP status from 100 to 599")
CAMPAIGN_IDS: Final = KeyRule(lowest=1, highest=LARGEST_CAMPAIGN_ID, what="a campaign ID, a whole number from 1")


def _list(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not JSON_LIST.match(value):
        return [item.strip() for item in value.split(",")]
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise ValueError('must be a list: a,b or ["a", "b"]') from None


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values or not all(values):
        raise ValueError("must not be empty, nor hold an empty item")
    if len(set(values)) < len(values):
        raise ValueError("must not name one of them twice")
    return values


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004  # pydantic collects ValueErrors, not TypeErrors
    return value


def _capitals(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _text(value: str) -> str:
    if not value or value != value.strip() or not value.isprintable():
        raise ValueError("must not be empty, nor begin or end with a space, nor hold control characters")
    return value


def _broker(value: str) -> str:
    host, _, port = value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not re.fullmatch(r"[^\s,/@\[\]]+", host[1:-1] if bracketed else host) or (":" in host and not bracketed):
        raise ValueError("must be host:port, several with commas between; an IPv6 address needs brackets")
    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or not 1 <= int(port) <= LARGEST_PORT:
        raise ValueError(f"must be host:port with a port from 1 to {LARGEST_PORT}")
    return value


def _kafka_name(value: str) -> str:
    if not KAFKA_NAME.fullmatch(value) or value in {".", ".."}:
        raise ValueError("must be 1 to 249 of the characters A-Z a-z 0-9 . _ -")
    return value


def _topic_template(value: str) -> str:
    _kafka_name(value.replace("{topic}", "t"))
    return value


def _control_topic(value: str) -> str:
    _kafka_name(value.replace("{group}", "g"))
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(f"must be a URL, for example {URL_EXAMPLE}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("must begin with https:// or http:// and name a host")
    if parts.username is not None:
        raise ValueError("must not hold a user or password: the key has a setting of its own")
    if parts.path in {"", "/"} or parts.fragment or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError(f"must be the endpoint's whole URL with its path, for example {URL_EXAMPLE}")
    return value


def proxy_url(value: str) -> str:
    """Return the URL of an HTTP proxy as it is.

    Raises:
        ValueError: it is none; the message does not hold it.
    """
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(PROXY_HINT) from None
    if parts.scheme != "http":
        raise ValueError(
            "must begin with http://: only HTTP proxies are used, and none that is spoken to over TLS itself"
        )
    if not parts.hostname or port == 0 or parts.path not in {"", "/"} or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError(PROXY_HINT)
    if parts.query or parts.fragment:
        raise ValueError(PROXY_HINT)
    return value


def on_this_machine(host: str) -> bool:
    """Return whether a host's name or address is that of this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy(value: SecretStr) -> SecretStr:
    proxy_url(value.get_secret_value())
    return value


def _secret(value: SecretStr) -> SecretStr:
    if not value.get_secret_value():
        raise ValueError("must not be empty")
    return value


def _recipient(value: SecretStr) -> SecretStr:
    _text(value.get_secret_value())
    return value


def _distinct_recipients(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    _distinct(tuple(value.get_secret_value() for value in values))
    return values


def _server_key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if text.lower().startswith("serverkey "):
        raise ValueError("must be the key alone, without the word ServerKey before it")
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("must not be empty, and must be of printable ASCII characters without spaces")
    return value


def _readable(value: Path) -> Path:
    try:
        value.open("rb").close()
    except OSError as mistake:
        raise ValueError(f"cannot be read: {mistake.strerror}") from None
    return value


def _certificates(value: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(_readable(value))
    except ssl.SSLError:
        raise ValueError("must hold certificates in PEM") from None
    return value


def _decimal(value: object) -> object:
    """Return a number as it is, and text that is one as a number."""
    if isinstance(value, bool):
        raise ValueError(NUMBER_HINT)  # noqa: TRY004  # pydantic collects ValueErrors, not TypeErrors
    if isinstance(value, str):
        if not DECIMAL.fullmatch(value.strip()):
            raise ValueError(NUMBER_HINT)
        return float(value)
    return value


def _optional_decimal(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() == NO_VALUE else _decimal(value)


Whole = Annotated[int, BeforeValidator(_number)]
Text = Annotated[str, AfterValidator(_text)]
Brokers = Annotated[
    tuple[Annotated[str, AfterValidator(_broker)], ...], BeforeValidator(_list), AfterValidator(_distinct)
]
Topic = Annotated[str, AfterValidator(_kafka_name)]
Topics = Annotated[tuple[Topic, ...], BeforeValidator(_list), AfterValidator(_distinct)]
TopicTemplate = Annotated[str, AfterValidator(_topic_template)]
ControlTopic = Annotated[str, AfterValidator(_control_topic)]
InstanceId = Annotated[str, AfterValidator(_kafka_name)]
EndpointUrl = Annotated[str, AfterValidator(_url)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy)]
"""Hidden, because it may hold a password."""
ServerKey = Annotated[SecretStr, AfterValidator(_server_key)]
Recipients = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_recipient)], ...],
    BeforeValidator(_list),
    AfterValidator(_distinct_recipients),
]
"""Phones and codes; hidden, because a phone has no place in a log."""
ReadableFile = Annotated[Path, AfterValidator(_readable)]
CertificatesFile = Annotated[Path, AfterValidator(_certificates)]
Ratio = Annotated[float, BeforeValidator(_decimal)]
OptionalRate = Annotated[float | None, BeforeValidator(_optional_decimal)]
RateScope = Literal["group", "instance"]
OnUnknownOutcome = Literal["resend", "hold"]
SameContact = Literal["separate", "keep_latest", "keep_first"]
Meaning = Literal["accepted", "refused", "not_delivered", "unknown"]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
LogFormat = Literal["console", "json"]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_capitals)]
