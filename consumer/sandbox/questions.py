"""The sandbox's own endpoints, `/sandbox/...`: requests, people, faults. Never handles a send."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
from aiohttp import web

from consumer.sandbox import replies
from consumer.sandbox.delivery import whole
from consumer.sandbox.facts import Wanted
from consumer.sandbox.faults import FaultMistakeError, parse_faults
from consumer.sandbox.people import person_named
from consumer.sandbox.platform import SandboxPlatform
from consumer.sandbox.records import RepeatCounter
from consumer.sandbox.wire import RequestedContact

Asked = TypeVar("Asked")

LINES_AT_ONCE = 500
"""Lines written before other tasks run."""


class QuestionError(Exception):
    """A request that cannot be answered; its text is one line for the person who sent it."""


class _Disabled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    persons: list[str]


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    contacts: list[RequestedContact]


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Questions:
    """Answers requests under `/sandbox/`: from tests, the demo, and people with curl."""

    def __init__(self, platform: SandboxPlatform, *, connections: Callable[[], tuple[int, int]]) -> None:
        self._platform = platform
        self._connections = connections
        self._handlers: dict[tuple[str, str], Handler] = {
            ("GET", "summary"): self._summary,
            ("GET", "contacts"): self._contacts,
            ("GET", "requests"): self._requests,
            ("GET", "repeats"): self._repeats,
            ("DELETE", "records"): self._forget,
            ("GET", "disabled"): self._disabled,
            ("POST", "disabled"): self._disable,
            ("DELETE", "disabled"): self._enable,
            ("POST", "known"): self._introduce,
            ("GET", "faults"): self._faults,
            ("PUT", "faults"): self._replace_faults,
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._remove_faults,
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; a mistake in it gets 4xx and one line that says what is wrong."""
        name = request.path.split("/")[2]
        handler = self._handlers.get((request.method, name))
        if handler is None:
            known = ", ".join(f"{method} /sandbox/{path}" for method, path in self._handlers)
            return whole(replies.with_message(404, f"no such endpoint; there are {known}"))
        try:
            return await handler(request)
        except QuestionError as error:
            return whole(replies.with_message(422, str(error)))

    # --- what was seen ------------------------------------------------------------------------------------------------

    async def _summary(self, request: web.BaseRequest) -> web.StreamResponse:
        records = self._platform.records
        wanted = Wanted(
            accepted=_number(request, "accepted") or 0,
            requests=_number(request, "requests") or 0,
            in_flight=_number(request, "inFlight") or 0,
            at_most_in_flight=_number(request, "atMostInFlight"),
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_number(request, "wait") or 0):
                while not wanted.holds(records.summary()):
                    await records.next_change().wait()
        summary = records.summary()
        summary.connections, summary.open_connections = self._connections()
        return _json(summary)

    async def _contacts(self, request: web.BaseRequest) -> web.StreamResponse:
        person = request.query.get("person")
        found = self._platform.records.accepted_contacts(
            campaign_id=_number(request, "campaign"),
            person=None if person is None else person_named(person),
            reference=request.query.get("reference"),
            after_request_id=_number(request, "after") or 0,
        )
        lines = await _begin_lines(request)
        for contacts in found:
            await _write_lines(lines, contacts)
        await lines.write_eof()
        return lines

    async def _requests(self, request: web.BaseRequest) -> web.StreamResponse:
        campaign_id = _number(request, "campaign")
        after = _number(request, "after") or 0
        outcome = request.query.get("outcome")
        fault = request.query.get("fault")
        found = [
            seen
            for seen in self._platform.records.requests
            if seen.request_id > after
            and campaign_id in {None, seen.campaign_id}
            and outcome in {None, str(seen.outcome)}
            and fault in {None, seen.fault}
        ]
        lines = await _begin_lines(request)
        for start in range(0, len(found), LINES_AT_ONCE):
            await _write_lines(lines, found[start : start + LINES_AT_ONCE])
        await lines.write_eof()
        return lines

    async def _repeats(self, request: web.BaseRequest) -> web.StreamResponse:
        counter = RepeatCounter()
        for contacts in self._platform.records.accepted_contacts(campaign_id=_number(request, "campaign")):
            counter.count(contacts)
            await asyncio.sleep(0)
        return _json(counter.result())

    async def _forget(self, _: web.BaseRequest) -> web.StreamResponse:
        self._platform.forget()
        return whole(replies.with_message(200, "forgotten"))

    # --- people -------------------------------------------------------------------------------------------------------

    async def _disabled(self, _: web.BaseRequest) -> web.StreamResponse:
        return _json(_Disabled(sorted(self._platform.directory.disabled)))

    async def _disable(self, request: web.BaseRequest) -> web.StreamResponse:
        wanted = _decode(await request.read(), _Disabled)
        self._platform.directory.disabled.update(person_named(text) for text in wanted.persons)
        return await self._disabled(request)

    async def _enable(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        disabled = self._platform.directory.disabled
        if body:
            disabled.difference_update(person_named(text) for text in _decode(body, _Disabled).persons)
        else:
            disabled.clear()
        return await self._disabled(request)

    async def _introduce(self, request: web.BaseRequest) -> web.StreamResponse:
        contacts = _decode(await request.read(), _Known).contacts
        if any(each.phone_e164 == each.phone_number == each.external_code for each in contacts):
            raise QuestionError("a contact needs one of phoneE164, phoneNumber, externalCode")
        self._platform.directory.introduce(contacts)
        return whole(replies.with_message(200, "known", {"contacts": len(contacts)}))

    # --- faults -------------------------------------------------------------------------------------------------------

    async def _faults(self, _: web.BaseRequest) -> web.StreamResponse:
        return _json(self._platform.faults.states())

    async def _replace_faults(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._arm(request, before=self._platform.faults.disarm)

    async def _add_faults(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._arm(request)

    async def _arm(
        self, request: web.BaseRequest, *, before: Callable[[], object] = lambda: None
    ) -> web.StreamResponse:
        document = _decode(await request.read(), object)
        try:
            faults = parse_faults(document)
        except FaultMistakeError as error:
            raise QuestionError(str(error)) from None
        before()
        return _json(self._platform.faults.arm(faults))

    async def _remove_faults(self, request: web.BaseRequest) -> web.StreamResponse:
        name = request.path.partition("/sandbox/faults/")[2] or None
        removed = self._platform.faults.disarm(name)
        if name is not None and not removed:
            return whole(replies.with_message(404, "no fault of this name is armed"))
        return whole(replies.with_message(200, "removed", {"faults": removed}))


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _decode(body: bytes, kind: type[Asked]) -> Asked:
    try:
        return msgspec.json.decode(body, type=kind)
    except ValueError as error:
        raise QuestionError(f"the body is not as expected: {error}") from None


def _number(request: web.BaseRequest, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise QuestionError(f"{name} must be a number")
    return int(text)


async def _begin_lines(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    return response


async def _write_lines(response: web.StreamResponse, values: Sequence[object]) -> None:
    if values:
        await response.write(b"".join(msgspec.json.encode(value) + b"\n" for value in values))
    await asyncio.sleep(0)
