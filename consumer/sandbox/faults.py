"""The models of all faults, typed and checked. Owns no state and does nothing.

`fault_page.py` describes all of them for people; a test checks that the two agree.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.alias_generators import to_camel

Texts = Annotated[tuple[str, ...], Field(min_length=1)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Conditions(BaseModel):
    """When a fault fires. Every condition that is given must hold."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, allow_inf_nan=False
    )

    name: str | None = Field(default=None, min_length=1, max_length=64)
    campaign: int | None = Field(default=None, ge=1, strict=True)
    person: str | Texts | None = None
    reference: str | Texts | None = None
    after: int = Field(default=0, ge=0)
    times: int | None = Field(default=None, ge=1)
    probability: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0

    @property
    def names_contacts(self) -> bool:
        """Whether the fault depends on single contacts."""
        return self.person is not None or self.reference is not None


class Latency(Conditions):
    """The answer takes longer; combines with any other fault."""

    fault: Literal["latency"]
    seconds: Seconds | tuple[Seconds, Seconds]

    @model_validator(mode="after")
    def _range_is_a_range(self) -> Self:
        if isinstance(self.seconds, tuple) and self.seconds[0] > self.seconds[1]:
            raise ValueError("seconds: the first of the two must not be the larger one")
        return self


class Hold(Conditions):
    """The answer waits until this fault is removed; combines with any other fault."""

    fault: Literal["hold"]


class AnswerStatus(Conditions):
    """A complete answer with this status."""

    fault: Literal["status"]
    status: int = Field(ge=300, le=599)
    accept: bool = False
    message: str | None = None
    retry_after_seconds: float | None = Field(default=None, ge=0)
    retry_after_form: Literal["seconds", "date"] = "seconds"
    location: HeaderValue | None = None
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)


class RefuseContact(Conditions):
    """The whole request is refused because it holds this contact."""

    fault: Literal["refuse_contact"]
    status: Literal[400, 413, 422] = 422
    message: str = "is refused"

    @model_validator(mode="after")
    def _names_a_contact(self) -> Self:
        if not self.names_contacts:
            raise ValueError("needs person or reference: whom to refuse")
        return self


class RefuseCampaign(Conditions):
    """The whole campaign is refused."""

    fault: Literal["refuse_campaign"]
    status: int = Field(default=404, ge=400, le=499)
    message: str = "campaign not found"

    @model_validator(mode="after")
    def _names_a_campaign(self) -> Self:
        if self.campaign is None:
            raise ValueError("needs campaign: which one to refuse")
        return self


class Capacity(Conditions):
    """No more than so many requests at once, or so many a second; whatever is more is refused at once."""

    fault: Literal["capacity"]
    at_once: int | None = Field(default=None, ge=1)
    per_second: float | None = Field(default=None, ge=1)
    status: Literal[429, 503] = 429
    message: str = "too many requests"

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.at_once is None and self.per_second is None:
            raise ValueError("needs atOnce or perSecond: how many requests are taken")
        return self


class ItemErrors(Conditions):
    """A 2xx that reports some contacts as errors. Those are not texted, unless the item names nobody."""

    fault: Literal["item_errors"]
    status: int = Field(default=200, ge=200, le=299)
    named_by: Literal["customData", "phone", "code", "everything", "nobody"] = "customData"
    count: int = Field(default=1, ge=1)
    message: str = "contact is disabled"


class Hang(Conditions):
    """No answer at all, until the client leaves."""

    fault: Literal["hang"]
    accept: bool = True


class Reset(Conditions):
    """The connection is reset (RST) instead of an answer."""

    fault: Literal["reset"]
    accept: bool = True


class Close(Conditions):
    """The connection is closed (FIN) instead of an answer."""

    fault: Literal["close"]
    accept: bool = True


class HalfHead(Conditions):
    """The answer breaks off inside its head."""

    fault: Literal["half_head"]
    status: int = Field(default=200, ge=200, le=599)
    accept: bool = True


class HalfBody(Conditions):
    """The answer's head is complete, its body breaks off."""

    fault: Literal["half_body"]
    status: int = Field(default=200, ge=200, le=599)
    accept: bool = True


class Garbage(Conditions):
    """Bytes that are no HTTP instead of an answer."""

    fault: Literal["garbage"]
    accept: bool = True


class Unreadable(Conditions):
    """A complete 2xx whose body is not JSON."""

    fault: Literal["unreadable"]
    status: int = Field(default=200, ge=200, le=299)
    accept: bool = True


Deciding = (
    AnswerStatus
    | RefuseContact
    | RefuseCampaign
    | Capacity
    | ItemErrors
    | Hang
    | Reset
    | Close
    | HalfHead
    | HalfBody
    | Garbage
    | Unreadable
)
"""Faults that decide the answer; of those that fire, the first decides."""
Delaying = Latency | Hold
"""Faults that only delay the answer; all that fire do so."""
Fault = Delaying | Deciding

_ONE: TypeAdapter[Fault] = TypeAdapter(Annotated[Fault, Field(discriminator="fault")])


class FaultMistakeError(ValueError):
    """A document is no valid fault; the text is one line that says which field breaks which rule."""


def parse_faults(document: object) -> list[Fault]:
    """Read one fault or a list of them from decoded JSON; raises `FaultMistakeError`."""
    documents = document if isinstance(document, list) else [document]
    mistakes: list[str] = []
    faults: list[Fault] = []
    for index, each in enumerate(documents):
        try:
            faults.append(_ONE.validate_python(each))
        except ValidationError as error:
            mistakes += [_in_words(index, details) for details in error.errors(include_url=False, include_input=False)]
    if mistakes:
        raise FaultMistakeError("; ".join(mistakes))
    return faults


def as_document(fault: Fault) -> dict[str, Any]:
    """Return a fault as a JSON document, without defaults."""
    return fault.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _in_words(index: int, details: Any) -> str:
    # pydantic puts the discriminator into the location; the person who wrote the fault would not know it.
    where = ".".join(str(part) for part in details["loc"][1:])
    message = str(details["msg"]).removeprefix("Value error, ")
    return f"fault {index + 1}: {where + ': ' if where else ''}{message[:1].lower()}{message[1:]}"
