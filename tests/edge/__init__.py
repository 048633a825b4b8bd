"""Telemetry, log and HTTP port, with real sockets and Prometheus's own parsers."""
