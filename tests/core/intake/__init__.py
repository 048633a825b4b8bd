"""Bytes to admitted events: every decision of the way in."""
