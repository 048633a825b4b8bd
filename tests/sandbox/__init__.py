"""The sandbox is strict, remembers exactly and fails exactly as asked, over real sockets."""
