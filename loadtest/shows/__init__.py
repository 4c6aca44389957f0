"""Scripted runs that show a promise kept: `python -m loadtest.shows`, or one by its module's name."""
