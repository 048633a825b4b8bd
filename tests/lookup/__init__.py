"""Tests of finding results, and following them."""
