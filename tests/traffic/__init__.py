"""The traffic that is generated, read from files, and published."""
