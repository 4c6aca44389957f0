"""A worker's place among the others."""

from __future__ import annotations

from pathlib import Path

from proxy.workers.place import WorkerPlace


def test_each_slot_has_a_socket_of_its_own_in_each_generation() -> None:
    old = WorkerPlace(slot=0, slots=3, socket_dir=Path("/run/x"), generation=1)
    new = WorkerPlace(slot=0, slots=3, socket_dir=Path("/run/x"), generation=2)
    paths = {place.socket_path(slot) for place in (old, new) for slot in range(3)}
    assert len(paths) == 6
    assert {path.parent for path in paths} == {Path("/run/x")}


def test_the_others_are_all_slots_but_its_own() -> None:
    assert WorkerPlace(slot=1, slots=3, socket_dir=Path("/run/x")).others == (0, 2)
