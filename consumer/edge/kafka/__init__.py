"""The brokers: what is read from them, what is written to them, and which topics there are."""
