"""What every table of settings is made of, and the units that their bounds are written in."""

from typing import Final

from pydantic import BaseModel, ConfigDict

from config.durations import BYTES_IN

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
KIB: Final = BYTES_IN["KIB"]
MIB: Final = BYTES_IN["MIB"]
GIB: Final = BYTES_IN["GIB"]


class Section(BaseModel):
    """A table of settings. Attributes carry their unit (`timeout_seconds`); the alias is the setting's name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)
