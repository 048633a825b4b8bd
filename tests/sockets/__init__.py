"""The real service and the real client against the sandbox platform, over real sockets and without brokers."""
