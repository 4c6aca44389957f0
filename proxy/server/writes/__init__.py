"""Writes over HTTP: how a client gives one in, and how it learns what became of it."""
