"""Touches: one module per thing of the world. Never decides."""
