"""Decides: values and a now in, values out. Never touches a socket, a clock or a logger."""
