"""Writes, looked at from outside: histories of clients and origin, and what they say of the proxy between.

    python -m loadtest.writes checker HISTORY...     what is wrong in these histories
    python -m loadtest.writes drive URL              write, and keep a history
    python -m loadtest.writes crash                  the same while the proxy is killed again and again
    python -m loadtest.writes counter                a thousand clients add one to a number
    python -m loadtest.writes read-your-writes       write, then read
    python -m loadtest.writes plain                  that the checker sees what passes without a queue

`docs/checking-writes.md` has the format of the histories and the rules.
"""
