"""The disk tier: one checksummed file a stored response, an index in memory, a log of purges."""
