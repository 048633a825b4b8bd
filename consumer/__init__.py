"""The campaign consumer: contact events in, campaign sends and results out. Owns only its version."""

__version__ = "0.1.0"
