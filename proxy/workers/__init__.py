"""The processes of one machine: a supervisor that owns the sockets, and workers that serve."""
