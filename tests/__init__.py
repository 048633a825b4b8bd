"""Promises, tested. Each test name is a sentence about what a user may rely on."""
