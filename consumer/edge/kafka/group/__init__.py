"""How this process is a member of its group, and what the group has committed."""
