"""Faults of the network and of servers, over real sockets. Owns the fault table, fakes nothing."""
