"""What clients are told of their writes becomes lines that the checker reads as it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.writes.history import ClientHistory, lines_of
from loadtest.writes.noting import note
from loadtest.writes.reading import Told, Word


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        pytest.param(Told(Word.OK), [{"do": "ok"}] * 2, id="applied"),
        pytest.param(
            Told(Word.OK, versions={"k": 7}),
            [{"do": "ok", "version": 7}, {"do": "ok", "version": 0}],
            id="versions",
        ),
        pytest.param(
            Told(Word.ACCEPTED, location="/w/1"), [{"do": "accepted", "id": "/w/1"}] * 2, id="promised"
        ),
        pytest.param(Told(Word.FAIL, "429"), [{"do": "fail", "why": "429"}] * 2, id="refused"),
        pytest.param(Told(Word.LOST, "404"), [{"do": "lost", "why": "404"}] * 2, id="forgotten"),
        pytest.param(Told(Word.INFO, "504"), [{"do": "info", "why": "504"}] * 2, id="unknown"),
        pytest.param(Told(Word.AGAIN, "409"), [{"do": "info", "why": "409"}] * 2, id="not-yet"),
    ],
)
def test_each_key_of_a_write_has_its_line(told: Told, lines: list[dict[str, object]], tmp_path: Path) -> None:
    history = ClientHistory(tmp_path / "history", seed=1)
    note(history, told, "a-1", ("k", "l"), by="a")
    history.close()
    found = [line for _, line in lines_of(history.path)][1:]
    told_of = [
        {name: line[name] for name in line if name not in ("key", "write", "by", "at")} for line in found
    ]
    assert told_of == lines
    assert [(line["key"], line["write"], line["by"]) for line in found] == [
        ("k", "a-1", "a"),
        ("l", "a-1", "a"),
    ]
