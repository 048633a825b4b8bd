"""How records are read: the group's events, and whole logs. Decides nothing about them."""
