"""What is written down is so: style, documentation, deployment files."""
