"""Events to publish: made up or read from JSON Lines, and the way they get into a topic. Never sends a text."""
