"""Events to publish: made up or read from JSON Lines, and their publisher. Never sends a text."""
