"""What is told: results and dead letters, as bytes. Sends nothing."""
