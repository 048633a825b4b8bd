"""Promises that only a real Apache Kafka can keep or break."""
