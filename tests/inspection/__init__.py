"""Tests of what an operator sees of the group from outside. Owns no fixture."""
