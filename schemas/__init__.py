"""Models of the data that the service reads and writes. Imports nothing of the service, does no I/O."""
