"""From windows to outcomes: which events share a send, whose turn it is, and what an answer does to it."""
