"""Results and dead letters, as their readers see them."""
