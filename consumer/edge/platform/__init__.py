"""The SMS platform over HTTP: one request at a time on each connection. Repeats nothing."""
