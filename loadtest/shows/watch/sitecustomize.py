"""Python imports this at its start where this directory is on PYTHONPATH; see `loadtest.shows.watched`."""

from loadtest.shows.watched import watch_this_process

watch_this_process()
