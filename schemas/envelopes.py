"""The envelopes that an event may have: CloudEvents 1.0 and the schema-registry wire format. Validates no event.

Sources: CloudEvents 1.0.2, its JSON event format and its Kafka protocol binding; Confluent's wire format.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from schemas.mistake import SchemaError, mistake_of

REGISTRY_MAGIC: Final = 0
REGISTRY_MAGIC_BYTE: Final = b"\x00"
REGISTRY_PREFIX_BYTES: Final = 5  # the magic byte and the 4-byte ID of the schema
STRUCTURED_CONTENT_TYPE: Final = "application/cloudevents+json"
ENVELOPE_CONTENT_TYPE_PREFIX: Final = "application/cloudevents"  # this, batches, and formats that are not JSON
ATTRIBUTE_HEADER_PREFIX: Final = "ce_"
_FILLED: Final = (("eventId", "id"), ("eventType", "type"), ("occurredAt", "time"))

_NonEmpty = Annotated[str, StringConstraints(min_length=1)]


class CloudEvent(BaseModel):
    """The attributes of a CloudEvent that are read; extension attributes are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    specversion: Literal["1.0"]
    id: _NonEmpty
    source: _NonEmpty
    type: _NonEmpty
    time: _NonEmpty | None = None


ATTRIBUTES: Final = tuple(CloudEvent.model_fields)


_validate = CloudEvent.__pydantic_validator__.validate_python


def structured_data_of(envelope: Mapping[str, object]) -> object:
    """Return the data of a structured CloudEvent: as it is, or the bytes of `data_base64`.

    Raises:
        SchemaError: there is no data, or both kinds of it, or no base64.
    """
    encoded = envelope.get("data_base64")
    if encoded is None:
        return envelope.get("data")
    if not isinstance(encoded, str) or envelope.get("data") is not None:
        raise SchemaError("data_base64: must be a string, with no data beside it")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise SchemaError("data_base64: must be base64") from None


def filled(data: Mapping[str, object], attributes: Mapping[str, object]) -> dict[str, object]:
    """Return the event of a CloudEvent: its data; fields that are missing there come from the attributes."""
    document = dict(data)
    for name, attribute in _FILLED:
        if document.get(name) is None and attributes.get(attribute) is not None:
            document[name] = attributes[attribute]
    return document


def check_attributes(attributes: Mapping[str, object]) -> None:
    """Raise SchemaError where the attributes are not those of CloudEvents 1.0."""
    try:
        _validate(attributes)
    except ValidationError as error:
        raise SchemaError(f"CloudEvents {mistake_of(error, open_fields={})}") from None
