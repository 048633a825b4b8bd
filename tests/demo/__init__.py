"""The demo: its arithmetic, and the whole of it on a real Kafka."""
