"""Reading: what is taken of what was fetched, what is parked, and what is read again. Decides nothing about sending."""
