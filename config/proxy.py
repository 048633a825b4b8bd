"""By which proxy the platform is reached: the setting's, or the environment's. Connects nowhere, and shows no password."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # documented nowhere, and in use by all

from pydantic import SecretStr

from config.kinds import on_this_machine, proxy_url
from config.mistakes import ConfigurationError, Mistake
from config.settings import Settings

SETTING: Final = "CAMPAIGN_API__PROXY"
VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {"https": ("https_proxy", "HTTPS_PROXY"), "http": ("http_proxy",)}
"""Who names a proxy for URLs of a scheme, as for curl: `HTTP_PROXY` in capitals may come from a request, under CGI."""
EXEMPTIONS: Final = ("no_proxy", "NO_PROXY")
USUAL_PORT: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy on the way to the platform. `credentials` are what `Proxy-Authorization` holds, None without a user."""

    host: str
    port: int
    credentials: SecretStr | None
    named_by: str
    """The setting or the variable that names it."""

    @property
    def address(self) -> str:
        """Host and port, as a URL has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"proxy {self.address} ({self.named_by})"


def proxy_of(settings: Settings, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy on the way to the platform, None where there is none.

    What the environment names is not for this machine itself, nor for hosts of `NO_PROXY`.

    Raises:
        ConfigurationError: the environment names what cannot be used.
    """
    if settings.api.proxy is not None:
        return _read(settings.api.proxy.get_secret_value(), SETTING)
    url = urlsplit(settings.api.url)
    host = url.hostname or ""
    name = next((name for name in VARIABLES[url.scheme] if name in environ), None)
    if name is None or not environ[name].strip() or on_this_machine(host):
        return None
    exempt = next((environ[name] for name in EXEMPTIONS if name in environ), "")
    if proxy_bypass_environment(url.netloc.rpartition("@")[2], {"no": exempt}):
        return None
    named = environ[name].strip()
    try:
        return _read(proxy_url(named if "://" in named else f"http://{named}"), name)
    except ValueError as error:
        problem = f"{error}; {SETTING} names another one, NO_PROXY={host} leaves it out"
        raise ConfigurationError([Mistake(setting=name, value=None, source="environment", problem=problem)]) from None


def _read(url: str, named_by: str) -> Proxy:
    parts = urlsplit(url)
    assert parts.hostname is not None
    credentials = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = SecretStr(f"Basic {b64encode(pair.encode()).decode('ascii')}")
    return Proxy(host=parts.hostname, port=parts.port or USUAL_PORT, credentials=credentials, named_by=named_by)
