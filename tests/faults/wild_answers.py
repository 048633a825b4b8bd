"""Answers by HTTP's grammar, and what mutations make of them: bytes, their parts, and what must be heard. Reads no answer of ours.

One seed and one number make one answer. What a head says is judged here line by line, apart from the code under test.
"""

import gzip
import re
import zlib
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

import orjson

MAX_HEAD_BYTES = 64 * 1024
STATUSES = (
    200,
    200,
    200,
    201,
    202,
    204,
    205,
    301,
    304,
    400,
    401,
    402,
    403,
    404,
    407,
    413,
    421,
    422,
    429,
    500,
    503,
    599,
)
VALUE_BYTES = bytes(sorted({*range(0x20, 0x7F), *range(0x80, 0x100), 0x09}))
TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LANDMARKS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b":",
    b" ",
    b"\t",
    b",",
    b";",
    b"HTTP/1.1 ",
    b"\xff",
    b"\xc3\xa9",
)
FILLERS = (b"x", b" ", b"\xff", b"0", b"a: b\r\n")
LINES = (
    b"Content-Length: 2",
    b"Content-Length: 0",
    b"Content-Length: 99999999999999999999999",
    b"Content-Length: -1",
    b"Content-Length: 2, 2",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Connection: close",
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: h2c",
    b"Keep-Alive: timeout=0",
    b"Keep-Alive: timeout=999999999",
    b"Content-Encoding: gzip",
    b"Content-Encoding: deflate, br",
    b"Retry-After: 99999999999999999999",
    b"Retry-After: Wed, 25 Nov 99999 10:00:30 GMT",
    b"Date: mi\xc3\xa9, 25 nov 2026 10:00:30 +99999",
    b"Location: http://[broken",
    b"no colon",
    b"a name: with a space",
    b": without a name",
)
AT_ONCE_BYTES = 8 * 1024
_ANY_STATUS_LINE = re.compile(rb"HTTP/\d[^ \n]* +\d\d\d[^\n]*\n", re.IGNORECASE)
_STATUS_LINE = re.compile(rb"HTTP/\d{1,3}(\.\d{1,3})?[ \t]+(\d\d\d)([ \t\r].*)?", re.IGNORECASE | re.DOTALL)


class End(Enum):
    """What the server does after its last byte."""

    WAIT = auto()
    """For the next request on the same connection: only where the client can tell that this answer is over."""
    CLOSE = auto()
    RESET = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class WildAnswer:
    """What a server says to one request."""

    parts: tuple[bytes, ...]
    end: End
    body: bytes | None
    """What must be read, where nothing was mutated and the encoding can be read; else None, and anything may."""
    intact: bool

    @property
    def status(self) -> int | None:
        """The status that must be heard; None where no head is complete and readable."""
        return status_of(b"".join(self.parts))


def status_of(raw: bytes) -> int | None:
    """What the first complete head that is no interim one says; None where there is none, or it is no head."""
    while True:
        raw = raw.lstrip(b"\r\n")
        lines: list[bytes] = []
        size = 0
        for line in raw.split(b"\n")[:-1]:
            size += len(line) + 1
            if line in (b"", b"\r"):
                break
            lines.append(line)
        else:
            return None
        found = _STATUS_LINE.fullmatch(lines[0])
        if found is None or size > MAX_HEAD_BYTES:
            return None
        status = int(found[2])
        if not 100 <= status < 200 or status == 101:
            return status
        raw = raw[size:]


def wild_answer(seed: int, number: int) -> WildAnswer:
    """Make the answer of this number."""
    dice = Random(f"{seed}/{number}")
    answer = _Grammar(dice).answer()
    if dice.random() < 0.5:
        return answer
    raw = b"".join(answer.parts)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        raw = _mutated(raw, dice)
    # What comes later than it should is taken for the beginning of the next answer, by whatever client: here the
    # server says all that may stand behind a head at once, and ends the connection with it. What is too much to be
    # sent at once says that it ends the connection.
    if len(raw) > AT_ONCE_BYTES:
        raw = _ANY_STATUS_LINE.sub(rb"\g<0>Connection: close\r\n", raw)
    cuttable = min(len(raw), max(raw.find(b"\n\r\n"), raw.find(b"\n\n"), 0))
    end = dice.choice((End.CLOSE, End.CLOSE, End.RESET))
    return WildAnswer(parts=_parts(raw, dice, cuttable), end=end, body=None, intact=False)


def _mutated(raw: bytes, dice: Random) -> bytes:
    place = dice.randrange(len(raw) + 1)
    before, after = raw[:place], raw[place:]
    some = dice.choice((1, 1, 2, 8, 100))
    match dice.randrange(10):
        case 0:
            raw = before + dice.randbytes(1) + after[1:]
        case 1:
            raw = before + after[some:]
        case 2:
            raw = raw[: place + some] + after
        case 3:
            raw = before + dice.choice(LANDMARKS) + after
        case 4:
            raw = before + dice.choice(FILLERS) * dice.choice((200, 9_000, 70_000)) + after
        case 5:
            raw = raw.replace(b"\r\n", b"\n", dice.choice((1, -1)))
        case 6:
            raw = before
        case 7:
            other = b"".join(_Grammar(dice).answer().parts)
            raw = before + other[dice.randrange(len(other)) :]
        case 8:
            place = dice.randrange(min(len(raw), 20) + 1)  # the status line
            raw = raw[:place] + dice.randbytes(1) + raw[place + 1 :]
        case _:
            first, _, rest = raw.partition(b"\r\n")
            raw = b"\r\n".join((first, dice.choice(LINES), rest))
    return raw


def _parts(raw: bytes, dice: Random, cuttable: int) -> tuple[bytes, ...]:
    """The bytes as they come through the network: mostly at once, sometimes cut within the first `cuttable` ones."""
    if dice.random() < 0.02 and cuttable < 600:
        cuts = list(range(1, cuttable + 1))
    else:
        cuts = sorted(dice.randrange(cuttable + 1) for _ in range(dice.choice((0, 0, 0, 1, 2, 4))))
    bounds = zip((0, *cuts), (*cuts, len(raw)), strict=True)
    return tuple(raw[start:stop] for start, stop in bounds if start < stop)


@dataclass(frozen=True, slots=True)
class _Grammar:
    """Draws answers that every reader must understand (RFC 9112), as far as they go."""

    dice: Random

    def answer(self) -> WildAnswer:
        dice = self.dice
        status = dice.choice(STATUSES)
        body = self._body(status)
        encoding, encoded = self._encoded(body)
        framing, framed, end = self._framed(status, encoded)
        lines = [*encoding, *framing, *(self._line() for _ in range(dice.choice((0, 2, 5, 12, 150))))]
        if dice.random() < 0.3:
            lines.append(b"Retry-After: %d" % dice.randrange(100))
        dice.shuffle(lines)
        interim = b"".join(self._interim() for _ in range(dice.choice((0, 0, 0, 0, 1, 3))))
        head = b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, self._value(), b"".join(line + b"\r\n" for line in lines))
        if len(head) > MAX_HEAD_BYTES:
            return self.answer()
        raw = interim + head + framed
        return WildAnswer(parts=_parts(raw, dice, len(raw)), end=end, body=body, intact=True)

    def _interim(self) -> bytes:
        lines = b"".join(self._line() + b"\r\n" for _ in range(self.dice.choice((0, 1, 3))))
        return b"HTTP/1.1 %d %b\r\n%b\r\n" % (self.dice.choice((100, 102, 103)), self._value(), lines)

    def _line(self) -> bytes:
        space = self.dice.choice((b"", b" ", b"\t ", b"  "))
        return b"X%b:%b%b%b" % (self._token(), space, self._value(), space)

    def _token(self) -> bytes:
        return bytes(self.dice.choices(TOKEN_BYTES, k=self.dice.choice((1, 6, 20))))

    def _value(self) -> bytes:
        longest = 20_000 if self.dice.random() < 0.01 else 60
        return bytes(self.dice.choices(VALUE_BYTES, k=self.dice.randrange(longest)))

    def _body(self, status: int) -> bytes:
        dice = self.dice
        if status in (204, 304):
            return b""
        return dice.choice(
            (
                b"",
                b"{}",
                orjson.dumps({"statusCode": status, "message": "OK", "data": {"id": dice.randrange(100)}}),
                orjson.dumps({"data": {"errors": [{"message": "\x01" * dice.randrange(3000)}]}}),
                dice.randbytes(dice.randrange(3000)),
                b" " * dice.choice((70_000, 300_000)),
            )
        )

    def _encoded(self, body: bytes) -> tuple[list[bytes], bytes]:
        match self.dice.randrange(6):
            case 0 if body:
                return [b"content-ENCODING: gZip"], gzip.compress(body)
            case 1 if body:
                return [b"Content-Encoding: deflate"], zlib.compress(body)
            case 2:
                return [b"Content-Encoding: identity"], body
            case _:
                return [], body

    def _framed(self, status: int, body: bytes) -> tuple[list[bytes], bytes, End]:
        if status in (204, 304):
            return [], b"", End.WAIT
        match self.dice.randrange(4):
            case 0:
                return [b"Transfer-Encoding: Chunked"], self._chunks(body), End.WAIT
            case 1:
                return self.dice.choice(([], [b"Connection: close"])), body, End.CLOSE
            case _:
                return [b"Content-Length: %d" % len(body)], body, End.WAIT

    def _chunks(self, body: bytes) -> bytes:
        dice, chunks = self.dice, bytearray()
        while body:
            size = min(len(body), dice.choice((1, 7, 500, 65_536)) if len(body) < 5000 else 65_536)
            extension = dice.choice((b"", b"", b";a=b", b';a="b c"'))
            chunks += b"%x%b\r\n%b\r\n" % (size, extension, body[:size])
            body = body[size:]
        trailers = b"".join(b"X%b: y\r\n" % self._token() for _ in range(dice.choice((0, 0, 2))))
        return bytes(chunks + b"0\r\n" + trailers + b"\r\n")
