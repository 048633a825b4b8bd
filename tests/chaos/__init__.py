"""Real faults: the service as processes, an Apache Kafka that is broken on purpose, every text accounted for."""
