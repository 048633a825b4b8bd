"""Resending on purpose: which records, what a resend of them would do, and doing it once. Judges no promise."""
