"""The campaigns of the generated traffic, and their templates' variables. Makes no records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from consumer.traffic.people import Person
from consumer.traffic.record import RecordKind

ONE_TIME_PASSWORD_LIFE_SECONDS = 300.0

Fields = dict[str, object]


def _one_time_password(_person: Person, rng: Random) -> Fields:
    return {"code": f"{rng.randrange(1_000_000):06d}", "minutes": 5}


def _shipping(_person: Person, rng: Random) -> Fields:
    order = f"A-{rng.randrange(10_000_000):07d}"
    return {"orderId": order, "carrier": rng.choice(("Correos", "DHL", "SEUR")), "parcels": rng.randint(1, 3)}


def _appointment(person: Person, rng: Random) -> Fields:
    return {
        "firstName": person.first_name,
        "time": f"{rng.randint(8, 18):02d}:{rng.choice((0, 15, 30, 45)):02d}",
        "place": rng.choice(("Clínica Norte", "Clínica Sur")),
        "room": rng.choice((None, 3, 12)),
    }


def _bulk(person: Person, rng: Random) -> Fields:
    return {"firstName": person.first_name, "voucher": f"V{rng.getrandbits(32):08X}", "percent": 15}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One campaign: its events' kind, type and share, and its template's variables."""

    kind: RecordKind
    event_type: str
    share: float
    """Its share of the valid events, from 0 to 1."""
    fields: Callable[[Person, Random], Fields]


Campaigns = Mapping[int, Template]
"""By campaign ID; the shares of all add up to 1."""

CAMPAIGNS: Campaigns = {
    421: Template(kind=RecordKind.SHIPPING_NOTICE, event_type="order.shipped", share=0.24, fields=_shipping),
    422: Template(kind=RecordKind.APPOINTMENT_REMINDER, event_type="appointment.due", share=0.10, fields=_appointment),
    700: Template(kind=RecordKind.ONE_TIME_PASSWORD, event_type="login.otp", share=0.06, fields=_one_time_password),
    901: Template(kind=RecordKind.BULK, event_type="promotion.voucher", share=0.60, fields=_bulk),
}
