"""Requests and answers: what each says, and when one may start."""
