"""The operator's settings: reads, checks and freezes them. Knows nothing of Kafka clients or sends."""

from config.mistakes import ConfigurationError, Mistake
from config.settings import Settings
from config.sources import load

__all__ = ["ConfigurationError", "Mistake", "Settings", "load"]
