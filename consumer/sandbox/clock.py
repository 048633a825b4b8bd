"""The sandbox's own wall clock, in Unix seconds: it shares no code with the service that it tests."""

from time import time as now  # noqa: TID251 - the one place of the sandbox that reads a clock

__all__ = ["now"]
