"""Tests of resending: what a plan selects, and what stands in its document."""
