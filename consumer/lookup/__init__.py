"""Finds results by what people know of an event, and follows what comes. Writes nothing."""
