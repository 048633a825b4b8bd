"""JSON Schema of what the service reads and writes, made from the models. Writes no file."""

from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import BaseModel

from schemas.contact_event import ContactEvent
from schemas.dead_letter import DeadLetterHeaders
from schemas.send_result import SendResult

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SUBJECTS: Final[Mapping[str, type[BaseModel]]] = {
    "event": ContactEvent,
    "result": SendResult,
    "dead-letter": DeadLetterHeaders,
}
"""The models with a published schema, by the name of its file in `schemas/published`."""


def json_schema(subject: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one of `SUBJECTS`."""
    mode: Final = "validation"
    schema = SUBJECTS[subject].model_json_schema(mode=mode)
    return {"$schema": DIALECT, **cast("dict[str, Any]", _without_noise(schema))}


def _without_noise(node: Any) -> Any:
    """Remove what pydantic adds and readers do not need: titles made from names, and defaults that are null."""
    if isinstance(node, list):
        return [_without_noise(each) for each in node]
    if not isinstance(node, dict):
        return node
    names = node.get("properties")
    kept = {
        key: value if key == "properties" else _without_noise(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
    if isinstance(names, dict):
        kept["properties"] = {name: _without_noise(value) for name, value in names.items()}
    return kept
