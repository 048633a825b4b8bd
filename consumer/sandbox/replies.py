"""The platform's answers, as values. Never touches a connection.

An answer is whole (`Reply`) or spoilt, which means broken on purpose in one of several ways (`Spoilt`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus

import msgspec

from consumer.sandbox.mistakes import MAX_MISTAKES, BrokenRule, in_words

NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Spoiling(Enum):
    """The ways to break an answer."""

    HANG = auto()
    RESET = auto()
    CLOSE = auto()
    HALF_HEAD = auto()
    HALF_BODY = auto()
    GARBAGE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoilt:
    """An answer that is missing or incomplete. `reply` is the whole answer."""

    how: Spoiling
    reply: Reply

    @property
    def status(self) -> int | None:
        """The answer's status, if its complete head goes out."""
        return self.reply.status if self.how is Spoiling.HALF_BODY else None


Answer = Reply | Spoilt


def accepted(request_id: int, *, status: int = 200) -> Reply:
    """Return the platform's OK. Like the real platform's, it does not mention dropped contacts."""
    return Reply(status=status, body=b'{"statusCode":%d,"message":"OK","data":{"id":%d}}' % (status, request_id))


def accepted_with_errors(request_id: int, errors: list[dict[str, object]], *, status: int) -> Reply:
    """Return an OK that reports single contacts as errors."""
    return with_message(status, "OK", {"id": request_id, "errors": errors})


def invalid(status: int, mistakes: list[BrokenRule]) -> Reply:
    """Return the refusal of an invalid body; `data.mistakes` lists the first mistakes."""
    return with_message(status, in_words(mistakes), {"mistakes": mistakes[:MAX_MISTAKES], "total": len(mistakes)})


def with_message(status: int, message: str, data: object = None, *, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
    """Return an answer in the platform's JSON form."""
    body = msgspec.json.encode({"statusCode": status, "message": message, "data": data})
    return Reply(status=status, body=body, headers=headers)


def phrase(status: int) -> str:
    """Return the standard reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
