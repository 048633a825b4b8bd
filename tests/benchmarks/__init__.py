"""Measures the service against a bare loop in the same run. Asserts nothing about time unless it is asked to."""
