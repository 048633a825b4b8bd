"""From bytes to admitted events: decoding, and what a record becomes first. Decides nothing about sending."""
