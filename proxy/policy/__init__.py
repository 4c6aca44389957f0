"""The rules of HTTP caching and forwarding as pure functions of values and `now`."""
