"""Stored responses: entries, the memory tier, what is remembered of keys, and the fences of purges."""
