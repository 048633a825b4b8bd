"""The service as a process of its own, on a real Kafka, with the sandbox platform asking the questions."""
