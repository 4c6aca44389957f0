"""Writes: first in, first out per entity."""
