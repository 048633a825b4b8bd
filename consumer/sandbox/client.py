"""An HTTP client for a running sandbox's endpoints under `/sandbox/`. Owns no records."""

import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from consumer.sandbox.facts import (
    AcceptedContact,
    FaultState,
    RepeatedTexts,
    RequestOutcome,
    RequestSeen,
    Summary,
    Wanted,
)
from consumer.sandbox.faults import Fault, as_document

Line = TypeVar("Line")

TIMEOUT_SECONDS = 30.0
SLACK_SECONDS = 10.0
"""Added to the time-out of `wait`: the sandbox may be busy with half a million contacts."""


class SandboxError(Exception):
    """The sandbox has answered with an error; the message is the sandbox's."""


class SandboxClient:
    """`async with SandboxClient(sandbox.base_url) as ask: await ask.summary()`.

    Takes any URL of the sandbox, also that of its send endpoint.
    """

    def __init__(self, url: str) -> None:
        # Plain HTTP only: loading the machine's certificates would take longer than all requests of a test.
        self._http = httpx.AsyncClient(
            base_url=httpx.URL(url).join("/sandbox/"),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    # --- what was seen ------------------------------------------------------------------------------------------------

    async def summary(self) -> Summary:
        """Return all counts; cheap enough to poll."""
        return msgspec.json.decode(await self._ask("GET", "summary"), type=Summary)

    async def wait(
        self,
        *,
        accepted: int = 0,
        requests: int = 0,
        in_flight: int = 0,
        at_most_in_flight: int | None = None,
        timeout_seconds: int = 30,
    ) -> Summary:
        """Return all counts as soon as these are reached, without polling.

        Raises:
            TimeoutError: they were not reached in time.
        """
        wanted = Wanted(accepted=accepted, requests=requests, in_flight=in_flight, at_most_in_flight=at_most_in_flight)
        query = {
            "accepted": accepted,
            "requests": requests,
            "inFlight": in_flight,
            "atMostInFlight": at_most_in_flight,
            "wait": timeout_seconds,
        }
        answer = await self._ask("GET", "summary", query=query, timeout_seconds=timeout_seconds + SLACK_SECONDS)
        summary = msgspec.json.decode(answer, type=Summary)
        if not wanted.holds(summary):
            counts = f"accepted={summary.accepted} requests={summary.requests} in_flight={summary.in_flight}"
            raise TimeoutError(f"after {timeout_seconds} s the sandbox has seen {counts}")
        return summary

    async def contacts(
        self,
        *,
        campaign_id: int | None = None,
        person: str | None = None,
        reference: str | None = None,
        after_request_id: int | None = None,
    ) -> list[AcceptedContact]:
        """Return every accepted contact that matches, in the order of acceptance."""
        found = self.stream_contacts(
            campaign_id=campaign_id, person=person, reference=reference, after_request_id=after_request_id
        )
        return [contact async for contact in found]

    async def stream_contacts(
        self,
        *,
        campaign_id: int | None = None,
        person: str | None = None,
        reference: str | None = None,
        after_request_id: int | None = None,
    ) -> AsyncIterator[AcceptedContact]:
        """Yield every accepted contact that matches, one by one, for large numbers of them."""
        wanted = {"campaign": campaign_id, "person": person, "reference": reference, "after": after_request_id}
        async for contact in self._lines("contacts", wanted, AcceptedContact):
            yield contact

    async def requests(
        self,
        *,
        campaign_id: int | None = None,
        outcome: RequestOutcome | None = None,
        fault: str | None = None,
        after_request_id: int | None = None,
    ) -> list[RequestSeen]:
        """Return every judged request that matches, in the order in which they were judged."""
        wanted = {"campaign": campaign_id, "outcome": outcome, "fault": fault, "after": after_request_id}
        return [seen async for seen in self._lines("requests", wanted, RequestSeen)]

    async def repeats(self, *, campaign_id: int | None = None) -> RepeatedTexts:
        """Return the references that were accepted more than once."""
        return msgspec.json.decode(
            await self._ask("GET", "repeats", query={"campaign": campaign_id}), type=RepeatedTexts
        )

    async def forget(self) -> None:
        """Drop all records; faults and disabled people stay."""
        await self._ask("DELETE", "records")

    # --- people and faults --------------------------------------------------------------------------------------------

    async def disable(self, persons: Iterable[str]) -> None:
        """Disable people, named by phone or code."""
        await self._ask("POST", "disabled", content={"persons": list(persons)})

    async def enable(self, persons: Iterable[str] | None = None) -> None:
        """Enable people again; everybody, if nobody is named."""
        await self._ask("DELETE", "disabled", content=None if persons is None else {"persons": list(persons)})

    async def introduce(self, contacts: Sequence[Mapping[str, object]]) -> None:
        """Make contacts known, in the JSON form of the send endpoint, so that they need not be created."""
        await self._ask("POST", "known", content={"contacts": contacts})

    async def faults(self) -> list[FaultState]:
        """Return the armed faults, with how often each matched and fired."""
        return msgspec.json.decode(await self._ask("GET", "faults"), type=list[FaultState])

    async def set_faults(self, *faults: Fault | Mapping[str, object]) -> list[str]:
        """Replace all faults by these; return their names."""
        return await self._arm("PUT", faults)

    async def add_faults(self, *faults: Fault | Mapping[str, object]) -> list[str]:
        """Add these faults after the armed ones; return their names."""
        return await self._arm("POST", faults)

    async def clear_faults(self, name: str | None = None) -> None:
        """Remove the fault of this name, or all."""
        await self._ask("DELETE", "faults" if name is None else f"faults/{name}")

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    async def _arm(self, method: str, faults: Sequence[Fault | Mapping[str, object]]) -> list[str]:
        documents = [dict(fault) if isinstance(fault, Mapping) else as_document(fault) for fault in faults]
        return msgspec.json.decode(await self._ask(method, "faults", content=documents), type=list[str])

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        content: object = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> bytes:
        body = None if content is None else msgspec.json.encode(content)
        response = await self._http.request(method, path, params=_given(query), content=body, timeout=timeout_seconds)
        if response.is_error:
            raise SandboxError(_words(response.content))
        return response.content

    async def _lines(self, path: str, query: Mapping[str, Any], kind: type[Line]) -> AsyncIterator[Line]:
        decoder = msgspec.json.Decoder(kind)
        async with self._http.stream("GET", path, params=_given(query)) as response:
            if response.is_error:
                raise SandboxError(_words(await response.aread()))
            rest = b""
            async for chunk in response.aiter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield decoder.decode(line)


def _given(query: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (query or {}).items() if value is not None}


def _words(content: bytes) -> str:
    return str(msgspec.json.decode(content)["message"])
