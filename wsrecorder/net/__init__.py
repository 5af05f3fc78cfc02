"""Sockets: feeds, the endpoint, the simulated engine."""
