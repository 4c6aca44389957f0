"""Lockgate: a request-coalescing caching reverse proxy."""

__version__ = "0.1.0"
