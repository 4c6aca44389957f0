"""An origin whose every write leaves a trace, to hold a proxy's order of writes to.

    python -m origin_stub.lists --port 9100 --history origin.jsonl --delay 0.001-0.004

    POST, PUT, PATCH, DELETE /lists/KEY   appends the write's id: `X-Write`, or `write` in a JSON body
    the same to /pairs/A/B                does so to both lists in one step
    GET /lists/KEY                        version and last write, storable for `--max-age`; `?all`: the list
    POST /counters/KEY                    reads, waits, writes back plus one: loses updates that overlap
    GET /counters/KEY                     the number
    GET /_lists/history                   the history so far, and the final state of each key

Writes fail as `--fault` says, in ways of `origin_stub.lists.faults`. Nothing is locked: who wants one write
of a key at a time has to send them so. The history's format is told in `docs/checking-writes.md`.
"""
