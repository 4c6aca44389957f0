"""Random histories of lanes, backend and origin: a state machine, and what must hold of each at its end."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.writes.write import Mode
from tests.writes.model_origin import Act
from tests.writes.world import POLICY, World

KEYS = st.sampled_from(["a", "b", "c", "d"])
ACTS = st.sampled_from(
    [
        Act(),
        Act(delay_s=3.0),
        Act(delay_s=9.0),
        Act(202, late=True),
        Act(422, applies=False),
        Act(412, applies=False),
        Act(401, applies=False),
        Act(429, applies=False, retry_after=b"2"),
        Act(503, applies=False, retry_after=b"1"),
        Act(500, applies=False),
        Act(502),
        Act(502, applies=False),
        Act(0),
        Act(0, late=True),
        Act(0, delay_s=4.0, applies=False),
        Act(hangs=True),
        Act(hangs=True, applies=False),
        Act(unreachable=True),
        Act(cut=True),
    ]
)
PATIENT_S = 8.0


class LanesModel(RuleBasedStateMachine):
    """One shard per first key, so that losing one shows that the others do not care."""

    def __init__(self) -> None:
        super().__init__()
        self.held_s = 0.0
        self.modes = set(Mode)
        self.world = World()

    @initialize(
        flags_all=st.booleans(),
        unrecorded=st.booleans(),
        several_shards=st.booleans(),
        seed=st.integers(0, 3),
    )
    def begin(self, flags_all: bool, unrecorded: bool, several_shards: bool, seed: int) -> None:
        self.world.close()
        shards = 2 if several_shards else 1
        policy = replace(POLICY, unrecorded=unrecorded and not flags_all)
        self.modes = {*Mode} if flags_all or unrecorded else {Mode.ASYNC}
        self.world = World(
            policies={"*/": policy}, shards=shards, flags_all=flags_all, max_running=2, seed=seed
        )

    def teardown(self) -> None:
        try:
            self.world.check_all()
        finally:
            self.world.close()

    # clients

    @rule(key=KEYS, mode=st.sampled_from(Mode), method=st.sampled_from(["PUT", "POST"]))
    def put(self, key: str, mode: Mode, method: str) -> None:
        self.world.put(key, mode=mode if mode in self.modes else Mode.ASYNC, method=method)

    @rule(key=KEYS, number=st.integers(2, 5))
    def put_many(self, key: str, number: int) -> None:
        for _ in range(number):
            self.world.put(key)

    @precondition(lambda self: self.world.shards == 1)  # of several shards only the embedded queue has all
    @rule(keys=st.sets(KEYS, min_size=2, max_size=3))
    def put_several(self, keys: set[str]) -> None:
        self.world.put(*keys)

    @rule(key=KEYS)
    def put_briefly(self, key: str) -> None:
        self.world.put(key, lives_s=2.0)

    @precondition(lambda self: self.world.puts)
    @rule(back=st.integers(1, 4))
    def cancel(self, back: int) -> None:
        put = self.world.puts[-min(back, len(self.world.puts))]
        self.world.call(self.world.writes.cancel, put.write.id)

    # time and the origin

    @rule(seconds=st.sampled_from([0.0001, 0.005, 0.5, 3.0, 12.0]))
    def pass_time(self, seconds: float) -> None:
        if self.world.queue.broken or not self.world.queue._gate.is_set():
            seconds = min(seconds, 0.5)
            self.held_s += seconds
            self.world.patience_ended |= self.held_s > PATIENT_S
        self.world.pass_time(seconds)

    @rule(acts=st.lists(ACTS, min_size=1, max_size=3))
    def act(self, acts: list[Act]) -> None:
        self.world.origin.acts.extend(acts)

    # the backend

    @rule()
    def hold_back(self) -> None:
        self.world.call(self.world.queue.hold)

    @rule()
    def let_go(self) -> None:
        self.world.call(self.world.queue.let_go)

    @rule()
    def break_down(self) -> None:
        self.world.call(self.world.queue.break_down)

    @rule()
    def heal(self) -> None:
        self.world.call(self.world.queue.heal)

    @rule(lease_s=st.sampled_from([0.0, 5.0]))
    def lease(self, lease_s: float) -> None:
        self.world.queue.lease_s = lease_s

    @precondition(lambda self: self.world.flags_all)
    @rule(shard=st.integers(0, 1))
    def revoke(self, shard: int) -> None:
        self.world.call(self.world.queue.revoke, shard)

    @rule(shard=st.integers(0, 1))
    def grant(self, shard: int) -> None:
        if shard < self.world.shards:
            self.world.call(self.world.queue.grant, shard)

    @rule()
    def crash(self) -> None:
        self.world.crash()

    # operators

    @rule(key=KEYS)
    def pause(self, key: str) -> None:
        self.world.call(self.world.writes._scheduler.block, key)

    @rule(key=KEYS)
    def resume(self, key: str) -> None:
        self.world.run(self.world.writes.resume(key))

    @rule(key=KEYS)
    def skip(self, key: str) -> None:
        self.world.call(self.world.writes.skip, key)

    @invariant()
    def the_origin_sees_one_at_a_time_and_in_order(self) -> None:
        self.world.check_origin()
