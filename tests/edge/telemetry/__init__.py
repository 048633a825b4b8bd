"""Log lines and metrics, as their readers see them."""
