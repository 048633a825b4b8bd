"""Describes what is wrong with a document, in one line. Never quotes a value of the document."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

_MOST_MISTAKES: Final = 3  # enough to act on; a dead letter's header stays short


class SchemaError(ValueError):
    """A document that breaks its model's rules; the message is a list of `field path: rule`."""


def mistake_of(error: ValidationError, *, open_fields: Mapping[str, str]) -> SchemaError:
    """Return an error that lists a model's mistakes by field path and rule.

    `open_fields` are the fields whose inner names are the writer's own, each with the rule for it. A mistake within one is
    listed as a mistake of the field itself, because an inner name could be personal data.
    """
    rules: dict[str, str] = {}
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        path, rule = _placed(each["loc"], open_fields)
        rules.setdefault(path, rule or _rule(each))
    lines = [f"{path}: {rule}" if path else rule for path, rule in rules.items()]
    more = len(lines) - _MOST_MISTAKES
    return SchemaError("; ".join(lines[:_MOST_MISTAKES]) + (f"; and {more} more" if more > 0 else ""))


def _placed(location: Sequence[int | str], open_fields: Mapping[str, str]) -> tuple[str, str | None]:
    path = ""
    for name in location:
        path = f"{path}.{name}" if path else str(name)
        if path in open_fields:
            return path, open_fields[path]
    return path, None


def _rule(error: Mapping[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    return "required" if error["type"] == "missing" else message.replace("should", "must", 1)
