"""What the platform answers, as values. Never touches a connection.

An answer is a whole one (`Reply`) or one of the ways to spoil it (`Spoilt`).
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
    """Ways not to answer properly."""

    HANG = auto()
    RESET = auto()
    CLOSE = auto()
    HALF_HEAD = auto()
    HALF_BODY = auto()
    GARBAGE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoilt:
    """An answer that does not come, or not whole. `reply` is what it would have been."""

    how: Spoiling
    reply: Reply

    @property
    def status(self) -> int | None:
        """The status whose whole head goes out."""
        return self.reply.status if self.how is Spoiling.HALF_BODY else None


Answer = Reply | Spoilt


def accepted(request_id: int, *, status: int = 200) -> Reply:
    """The platform's OK. It says nothing of contacts that it dropped: neither does the real one."""
    return Reply(status=status, body=b'{"statusCode":%d,"message":"OK","data":{"id":%d}}' % (status, request_id))


def accepted_with_errors(request_id: int, errors: list[dict[str, object]], *, status: int) -> Reply:
    """An OK that reports single contacts as errors."""
    return told(status, "OK", {"id": request_id, "errors": errors})


def invalid(status: int, mistakes: list[BrokenRule]) -> Reply:
    """A refusal of a body that breaks rules; `data.mistakes` lists the first ones."""
    return told(status, in_words(mistakes), {"mistakes": mistakes[:MAX_MISTAKES], "total": len(mistakes)})


def told(status: int, message: str, data: object = None, *, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
    """Any answer in the platform's shape."""
    body = msgspec.json.encode({"statusCode": status, "message": message, "data": data})
    return Reply(status=status, body=body, headers=headers)


def phrase(status: int) -> str:
    """The standard words for a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
