"""The sandbox: a strict double of the platform that remembers what it accepted and misbehaves on demand.

Tests judge the service by it, so it never imports `consumer.core`, `consumer.service` or `consumer.edge`.
"""
