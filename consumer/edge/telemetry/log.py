"""The format and destination of log lines: one line a fact, UTC, no secrets. Writes no line: `telemetry.py` does.

Our own lines have values in named fields. A library's line is free text and may quote the library's input. So every text
is masked, and libraries never log below INFO (aiokafka prints whole requests at DEBUG). A line that a library repeats is
written once in a while, with the number of those left out.
"""

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from consumer.core.terms import AT_ONCE, Ticks

Format = Literal["console", "json"]

OURS: Final = "campaign"
"""The logger of our own facts."""

REPEAT_SECONDS: Final = 30.0  # a problem that lasts is two lines a minute: seen, and readable
MAX_REMEMBERED: Final = 1000  # kinds of repeated lines; the oldest is forgotten first
FAMILY_LINES: Final = 10  # lines in that time of one problem that many campaigns have, each a kind of its own
NEVER_WRITTEN: Final = AT_ONCE

MAX_CAUSES: Final = 5
MAX_FRAMES: Final = 20

_ADDRESS = r"(?:\d{1,3}\.){3}\d{1,3}"
_DIGITS = re.compile(
    # Broker addresses stay: asyncio's ('10.1.2.3', 9092), everybody's 10.1.2.3:9092
    rf"(?P<address>(?<=\('){_ADDRESS}(?=')|(?<![\d.+]){_ADDRESS}(?=:\d{{2,5}}(?!\d)))"
    # 7 digits and more, of any script, also as people write phones: +34 600 111-222, (600) 11.12.22. What stands
    # between the items of a list or the parts of an address or a time does not join digits.
    r"|[+(]*\d(?:[^\w\n,;:'\"|=]{0,4}\d|__?\d){6,}"
)
MASK: Final = "***"
_QUOTED: Final = frozenset(" \t=\r\n\"'")
"""Characters for which the console's renderer quotes a text, and then escapes it itself."""

PLAIN_FIELDS: Final = frozenset(
    {"timestamp", "level", "logger", "version", "group", "claimed_by", "topic", "topics", "partition", "partitions"}
    | {"send_id", "offsets", "among", "sentence", "mistake", "obstacle"}
)
"""Fields whose text is ours or configuration's, and may hold digits: dates, topic names, member IDs, offsets, the verdict."""


class LeftOut(NamedTuple):
    """How many lines were not written since the last one that was."""

    left_out: int
    """Of the same kind."""
    others_left_out: int
    """Of other kinds of its family."""


class RepeatedLines:
    """Limits equal lines: the first is written, then one in `REPEAT_SECONDS`. Reads no clock."""

    def __init__(self, *, every_seconds: float = REPEAT_SECONDS) -> None:
        self._every_seconds = every_seconds
        self._kinds: dict[object, tuple[Ticks, int]] = {}
        self._families: dict[object, tuple[Ticks, int, int]] = {}
        """Of each family, since when its lines are counted, how many were written, and how many were not."""

    def admit(self, kind: object, at: Ticks, *, family: object = None) -> LeftOut | None:
        """Return how many were left out since the last one; None where this one is left out too.

        Of a `family` of kinds, `FAMILY_LINES` are written in `REPEAT_SECONDS`.
        """
        last_at, left_out = self._kinds.get(kind, (NEVER_WRITTEN, 0))
        if at - last_at < self._every_seconds:
            self._kinds[kind] = (last_at, left_out + 1)
            return None
        others = self._admit_of(family, at)
        self._kinds.pop(kind, None)
        self._kinds[kind] = (at, 0) if others is not None else (NEVER_WRITTEN, left_out + 1)
        _forget_oldest(self._kinds)
        return None if others is None else LeftOut(left_out, others)

    def _admit_of(self, family: object, at: Ticks) -> int | None:
        if family is None:
            return 0
        since, written, left_out = self._families.pop(family, (NEVER_WRITTEN, 0, 0))
        is_anew = at - since >= self._every_seconds
        if is_anew:
            since, written = at, 0
        is_written = written < FAMILY_LINES
        told = left_out if is_anew else 0
        left_out = (left_out - told) + (not is_written)
        self._families[family] = (since, written + is_written, left_out)
        _forget_oldest(self._families)
        return told if is_written else None


def _forget_oldest(known: dict[object, Any]) -> None:
    if len(known) > MAX_REMEMBERED:
        del known[next(iter(known))]


class _RepeatFilter(logging.Filter):
    """Leaves out a library's repeated lines; two lines are of one kind if their texts without values are equal."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = RepeatedLines()
        self._lock = threading.Lock()  # spans are exported in a thread, which may have something to say

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == OURS:  # telemetry limits its own lines, by fact
            return True
        kind = (record.name, record.levelno, record.msg if isinstance(record.msg, str) else type(record.msg))
        with self._lock:
            left_out = self._repeats.admit(kind, Ticks(record.created))
        if left_out is not None and left_out.left_out:
            record.left_out = left_out.left_out
        return left_out is not None


def origin_of(error: BaseException) -> tuple[str, list[str]]:
    """Return the type names of an error and its causes, and the frames of its traceback without any value.

    The error's message is left out, because it may quote personal data: a name, a custom field.
    """
    trace = traceback.TracebackException.from_exception(error, lookup_lines=False)
    frames = [f"{'/'.join(Path(frame.filename).parts[-4:])}:{frame.lineno} {frame.name}" for frame in trace.stack]
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(kinds) < MAX_CAUSES:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return " from ".join(kinds), frames[-MAX_FRAMES:]


def short(seconds: float) -> float:
    """Return seconds as lines show them: to the millisecond."""
    return round(seconds, 3)


def masked(text: str) -> str:
    """Return `text` with every run of 7 or more digits, with or without separators between them, masked."""
    return _DIGITS.sub(lambda found: found["address"] or MASK, text)


def mask_values(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Mask every text of a line; numbers in fields stay (offsets, counts)."""
    return {key: value if key in PLAIN_FIELDS else _masked_value(value) for key, value in line.items()}


def _masked_value(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case bytes() | bytearray() | memoryview():
            return f"{len(value)} bytes"
        case str():
            return masked(value)
        case Mapping():
            return {masked(str(key)): _masked_value(inner) for key, inner in value.items()}
        case Sequence() | frozenset() | set():
            return [_masked_value(inner) for inner in value]
        case _:
            return masked(str(value))


def _add_left_out(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    left_out = getattr(line.get("_record"), "left_out", 0)
    return {**line, "left_out": left_out} if left_out else line


def printable(text: str) -> str:
    """Return `text` with line breaks, control characters and whatever else does not print, as escapes."""
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text])


def _escape(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Escape what would move a terminal's cursor, or begin a line that nobody wrote; a traceback's lines stay lines."""
    for name, value in line.items():
        if not isinstance(value, str):
            continue  # the renderer writes the texts in it as Python does, with escapes
        if name in ("exception", "stack"):
            line[name] = "\n".join(["    " + printable(part) for part in value.split("\n")])
        elif name == "event" or not _QUOTED & set(value):
            line[name] = printable(value)
    return line


def _as_json(line: EventDict, **_options: object) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:  # half a surrogate pair, as an undecodable file name has, or an integer of more than 64 bits
        return json.dumps(line, default=str)


def _renderers(format_: Format, stream: TextIO) -> list[Processor]:
    if format_ == "json":
        return [structlog.processors.JSONRenderer(serializer=_as_json)]
    return [_escape, structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)]


def default_format(stream: TextIO) -> Format:
    """Return the format of a log that goes to `stream`, where nobody has chosen one."""
    return "console" if stream.isatty() else "json"


def hear_strays() -> None:
    """Log exceptions that nobody can catch, in a thread or in a finalizer, instead of printing tracebacks of them."""

    def unraisable(stray: "sys.UnraisableHookArgs") -> None:
        _tell_stray("finalizer", stray.exc_value or stray.exc_type())

    def in_thread(stray: threading.ExceptHookArgs) -> None:
        _tell_stray("thread", stray.exc_value or stray.exc_type())

    sys.unraisablehook, threading.excepthook = unraisable, in_thread


def _tell_stray(where: str, error: BaseException) -> None:
    kinds, frames = origin_of(error)
    structlog.get_logger(OURS).error("unexpected error", during=where, error=kinds, at=frames)


def configure(format: Format | None, level: str, *, stream: TextIO | None = None) -> Format:  # noqa: A002
    """Send all log lines of this process to `stream` (default: standard error); return their format.

    `format` None means `console` on a terminal, else `json`. `level` is a level name of `logging`. Libraries log from
    WARNING on; with level DEBUG, from INFO on.
    """
    stream = sys.stderr if stream is None else stream
    format_ = format or default_format(stream)
    common: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(_RepeatFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*common, structlog.stdlib.add_logger_name, _add_left_out],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # as text, without local variables, so that it can be masked
                mask_values,
                *_renderers(format_, stream),
            ],
        )
    )
    ours = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(ours, logging.INFO if ours <= logging.DEBUG else logging.WARNING))
    logging.getLogger(OURS).setLevel(ours)
    for chatty in ("aiohttp.access", "httpx", "httpcore"):  # a line a request, with its address
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    return format_
