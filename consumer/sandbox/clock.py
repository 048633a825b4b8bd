"""The sandbox's own reading of the wall clock, in Unix seconds: a judge takes no time from the accused."""

from time import time as now  # noqa: TID251 - the one place of the sandbox that reads a clock

__all__ = ["now"]
