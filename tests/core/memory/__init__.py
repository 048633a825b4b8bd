"""What is remembered, and what it costs."""
