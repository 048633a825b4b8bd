"""What the settings promise to whoever writes them."""
