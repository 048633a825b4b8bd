"""The whole service on one machine, and the proof that nothing went missing. Never part of a deployment."""
