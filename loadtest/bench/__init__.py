"""The side-by-side benchmark: `python -m loadtest.bench --help`."""
