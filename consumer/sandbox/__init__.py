"""The sandbox: a strict double of the platform that remembers what it accepted and misbehaves on demand.

A judge of the service: it never imports `consumer.core`, `consumer.service` or `consumer.edge`.
"""
