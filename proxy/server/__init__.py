"""Sockets and exchanges: from a client's octets to the coalescer or the origin, and back."""
