"""Remembers: which events have settled, and what the platform asked for. Bounded in bytes and in time; reads no log."""
