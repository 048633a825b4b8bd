"""The group's state, read from Kafka alone, and the operator's decision that lets a stopped partition start."""
