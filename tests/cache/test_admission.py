from __future__ import annotations

from proxy.cache.admission import Admission


def test_a_key_is_admitted_when_it_was_asked_for_often_enough() -> None:
    admission = Admission(max_keys=10)
    assert admission.admits(b"a", min_uses=1)
    for expected in (False, True):
        admission.count(b"a")
        assert admission.admits(b"a", min_uses=2) is expected
    assert not admission.admits(b"b", min_uses=2)


def test_keys_that_nobody_asks_for_again_are_forgotten() -> None:
    admission = Admission(max_keys=2)
    for key in (b"a", b"a", b"b", b"b", b"c"):
        admission.count(key)
    assert not admission.admits(b"a", min_uses=2)
    assert admission.admits(b"b", min_uses=2)
    assert repr(admission) == "<Admission 2 keys>"
