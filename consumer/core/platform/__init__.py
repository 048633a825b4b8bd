"""What the platform is asked, what its answers mean, and whether requests may start. Sends nothing."""
