"""Tests of the operations page in a terminal."""
