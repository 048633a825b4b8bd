"""Asks a service for its status over HTTP, and says what to do where there is none. Shows nothing."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx
import orjson

ANSWER_SECONDS: Final = 5.0

ServiceStatusJson = Mapping[str, Any]
"""What `GET /status` says. Another version may leave fields out, or have more."""


class NoStatusError(Exception):
    """There is no status to be had; the message is one line with the cure."""


class StatusAsker:
    """Asks one service. Use as an asynchronous context manager."""

    def __init__(self, url: str, token: str | None) -> None:
        """Prepare; `url` is that of the operations page, or of the status itself."""
        whole = url if "://" in url else f"http://{url}"
        base = whole.split("?", maxsplit=1)[0].rstrip("/").removesuffix("/status")
        self.url = f"{base}/status"
        self._has_token = token is not None
        headers = {"Accept": "application/json"} | ({} if token is None else {"Authorization": f"Bearer {token}"})
        self._http = httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS, headers=headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def status(self) -> ServiceStatusJson:
        """Return the status.

        Raises:
            NoStatusError: nothing answers, it asks for a token, or it is something else.
        """
        try:
            answer = await self._http.get(self.url)
        except httpx.TimeoutException:
            raise NoStatusError(f"{self.url}: no answer within {ANSWER_SECONDS:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            why = str(error) or type(error).__name__
            raise NoStatusError(
                f"{self.url}: nothing answers ({why}): does the service run there? Name it with --url, or give "
                "CAMPAIGN_HTTP__HOST and CAMPAIGN_HTTP__PORT as the service has them"
            ) from None
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            cure = "CAMPAIGN_HTTP__TOKEN is not the service's" if self._has_token else "give it in CAMPAIGN_HTTP__TOKEN"
            raise NoStatusError(f"{self.url}: asks for a token (401): {cure}")
        try:
            status = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            status = None
        if not answer.is_success or not isinstance(status, dict) or "partitions" not in status:
            raise NoStatusError(
                f"{self.url}: is no status of a campaign-consumer (HTTP {answer.status_code}): name the port of `run`"
            )
        return status
