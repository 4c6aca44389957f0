"""Lanes: one first-in-first-out queue for each busy key, and nothing left of an idle one. Pure.

Theory of operation. A job stands in the lanes of all its keys, at the end of each from the step in which it
was added. It may start when it is at the head of every one of them and none of its keys is blocked.

    WAITING ──head, not blocked──► READY ──take──► RUNNING ──leave──► GONE
       ▲                            ▲                 │
       └──────── blocked ───────────┴──ripen── RESTING◄──rest──

A job that runs or rests stays at the head: nothing overtakes it. One that rests gives its place under the
limits to others, so that stuck keys stop nobody but themselves. From everywhere, `finish` leads to ENDING: a
job that expired, or was taken back, stays in its lanes until that is kept. If it left before, a crash could
bring it back, behind those that had started in its stead.

Several keys. All lanes are joined in one step, so two jobs stand in the same order in every lane that they
share, and the oldest job of all is always at the head of its lanes: no circle of waiting can form. (Taking
locks in sorted order gives the same promise where taking them takes time.)

Fair start. Jobs that became ready wait in the order in which they did, by route and origin; the groups take
turns. When a key's job leaves, its next one is ready only then, behind those of all other keys: a long lane
has one turn in each round. A group at its limit passes its turn.

Cost. A lane is a list: a deque takes 760 octets even for one write, a list 90, and taking its first out
costs less than a microsecond up to the lengths that one key may have. Blocked and departed jobs are taken
out of the ready queues only when their turn comes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping

from proxy.writes.job import Job, Phase

Group = tuple[str, str]
"""Route and origin."""


class Lanes:
    """All jobs that are here, in their order. One event loop owns it.

    `origin_limits` has the most that may run at each origin, none for one that it lacks.
    """

    def __init__(self, *, max_running: int, origin_limits: Mapping[str, int] | None = None) -> None:
        self.max_running = max_running
        self._origin_limits = dict(origin_limits or {})
        self._lanes: dict[str, list[Job]] = {}
        self._jobs: dict[str, Job] = {}
        self._ready: OrderedDict[Group, deque[Job]] = OrderedDict()
        self._blocked: set[str] = set()
        self._running = 0
        self._by_route: dict[str, int] = {}
        self._by_origin: dict[str, int] = {}
        self._queued_by_route: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Lanes {len(self._jobs)} jobs on {len(self._lanes)} keys, {self._running} running>"

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    @property
    def running(self) -> int:
        """Jobs that hold a place under the limits."""
        return self._running

    @property
    def busy_keys(self) -> int:
        """Keys with a lane."""
        return len(self._lanes)

    @property
    def blocked(self) -> frozenset[str]:
        """Keys of which nothing is started."""
        return frozenset(self._blocked)

    def get(self, write_id: str) -> Job | None:
        """The job of this write, if it is here."""
        return self._jobs.get(write_id)

    def lane(self, key: str) -> tuple[Job, ...]:
        """The jobs of a key, the oldest first."""
        return tuple(self._lanes.get(key, ()))

    def depth(self, key: str) -> int:
        """How many jobs of this key there are."""
        return len(self._lanes.get(key, ()))

    def of_route(self, route: str) -> int:
        """How many jobs of this route there are."""
        return self._queued_by_route.get(route, 0)

    def heads(self) -> Iterator[Job]:
        """The oldest job of each lane, once for each lane that it heads."""
        return (lane[0] for lane in self._lanes.values())

    def ahead(self, job: Job) -> int:
        """How many jobs are before this one in the lane where most are."""
        return max(self._lanes[key].index(job) for key in job.write.keys)

    def behind(self, job: Job) -> Job | None:
        """Who can start as soon as this one leaves; None where that hangs on other keys, too."""
        keys = job.write.keys
        lane = self._lanes.get(keys[0], ())
        if len(keys) > 1 or len(lane) < 2 or lane[0] is not job:
            return None
        head = lane[1]
        waits_for_it_alone = head.write.keys == keys and head.phase is Phase.WAITING
        return head if waits_for_it_alone and not self._is_blocked(head) else None

    # coming and going

    def add(self, job: Job) -> bool:
        """Take a job in, behind all of its keys; False, and nothing happens, if the write is here already."""
        if job.write.id in self._jobs:
            return False
        write = job.write
        self._jobs[write.id] = job
        _count_in(self._queued_by_route, write.route)
        for key in write.keys:
            lane = self._lanes.get(key)
            if lane is None:
                self._lanes[key] = [job]
            else:
                lane.append(job)
        self._ready_if_it_may(job)
        return True

    def leave(self, job: Job) -> None:
        """Take a job out, wherever it is; those behind it may become ready."""
        del self._jobs[job.write.id]
        self._free_place(job)
        job.phase = Phase.GONE
        _count_out(self._queued_by_route, job.write.route)
        behind = [head for key in job.write.keys if (head := self._leave_lane(key, job)) is not None]
        for head in behind:
            self._ready_if_it_may(head)

    def _leave_lane(self, key: str, job: Job) -> Job | None:
        """Who is at the head now, and was not before."""
        lane = self._lanes[key]
        if lane[0] is not job:
            lane.remove(job)
            return None
        del lane[0]
        if not lane:
            del self._lanes[key]
            return None
        return lane[0]

    # starting

    def take(self) -> Job | None:
        """The next job to start, which then runs; None if none may."""
        if not self._ready or self._running >= self.max_running:
            return None
        for group in tuple(self._ready):
            self._ready.move_to_end(group)
            job = self._next_of(group)
            if job is not None:
                self._run(job)
                return job
        return None

    def _next_of(self, group: Group) -> Job | None:
        queue = self._ready[group]
        while queue:
            job = queue[0]
            if job.phase is not Phase.READY:  # it left
                queue.popleft()
            elif self._is_blocked(job):
                job.phase = Phase.WAITING
                queue.popleft()
            elif self._has_room(job):
                queue.popleft()
                return job
            else:
                return None
        del self._ready[group]
        return None

    def finish(self, job: Job) -> None:
        """It is never started again, wherever it is, and still overtaken by nobody until it leaves."""
        self._free_place(job)
        job.phase = Phase.ENDING

    def rest(self, job: Job) -> None:
        """It stops running and stays at the head."""
        self._free_place(job)
        job.phase = Phase.RESTING

    def ripen(self, job: Job) -> None:
        """It has rested; it is ready, behind those that are."""
        assert job.phase is Phase.RESTING, f"{job!r} does not rest"
        job.phase = Phase.WAITING
        self._ready_if_it_may(job)

    # blocking

    def block(self, key: str) -> None:
        """Start nothing of this key from now on; what runs, runs on."""
        self._blocked.add(key)

    def unblock(self, key: str) -> None:
        """Start what is at its head again."""
        self._blocked.discard(key)
        lane = self._lanes.get(key)
        if lane:
            self._ready_if_it_may(lane[0])

    # of one job

    def is_head(self, job: Job) -> bool:
        """Whether nothing is before it."""
        keys = job.write.keys
        if len(keys) == 1:  # the usual case, at a third of the price
            return self._lanes[keys[0]][0] is job
        return all(self._lanes[key][0] is job for key in keys)

    def _is_blocked(self, job: Job) -> bool:
        return bool(self._blocked) and not self._blocked.isdisjoint(job.write.keys)

    def _ready_if_it_may(self, job: Job) -> None:
        if job.phase is not Phase.WAITING or self._is_blocked(job) or not self.is_head(job):
            return
        job.phase = Phase.READY
        group = (job.write.route, job.policy.origin)
        queue = self._ready.get(group)
        if queue is None:
            queue = self._ready[group] = deque()
        queue.append(job)

    # the limits

    def _has_room(self, job: Job) -> bool:
        if self._by_route.get(job.write.route, 0) >= job.policy.max_concurrency:
            return False
        limit = self._origin_limits.get(job.policy.origin)
        return limit is None or self._by_origin.get(job.policy.origin, 0) < limit

    def _run(self, job: Job) -> None:
        job.phase = Phase.RUNNING
        self._running += 1
        _count_in(self._by_route, job.write.route)
        _count_in(self._by_origin, job.policy.origin)

    def _free_place(self, job: Job) -> None:
        if job.phase is Phase.RUNNING:
            self._running -= 1
            _count_out(self._by_route, job.write.route)
            _count_out(self._by_origin, job.policy.origin)


# `Counter` calls a function of its own for each name that it lacks, which is the usual case here.


def _count_in(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _count_out(counts: dict[str, int], name: str) -> None:
    left = counts[name] - 1
    if left:
        counts[name] = left
    else:
        del counts[name]
