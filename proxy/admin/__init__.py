"""The admin listener: health, metrics, statistics."""
