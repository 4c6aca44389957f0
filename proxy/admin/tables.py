"""What the admin listener answers, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def purge_lines(answer: Mapping[str, Any]) -> list[str]:
    """What a purge did."""
    count = int(answer["entries"])
    what = f"{count} response{'' if count == 1 else 's'}"
    done = f"made {what} stale" if answer["soft"] else f"removed {what}"
    return [f"{done} ({answer['kind']}, {answer['seconds']:.3f} s)"]


def explanation_lines(answer: Mapping[str, Any]) -> list[str]:
    """An explanation: verdict first, then what it stands on."""
    status = f" {answer['status']}" if answer["status"] is not None else ""
    rows = [(answer["verdict"] + status, answer["because"]), *_rows(answer)]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {_value(text)}" for name, text in rows]
    return [lines[0], "", *lines[1:]]


def _rows(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    request = answer["request"]
    yield "request", f"{request['method']} {request['url']}"
    if answer["route"] is not None:
        yield "route", f"{answer['route']['name']} -> {answer['route']['origin']}"
    if answer["key"] is not None:
        yield from _key(answer["key"])
    if answer["variant"] is not None:
        yield from _variant(answer["variant"])
    if answer["key"] is not None:
        yield from _stored(answer["stored"])
        yield from _marks(answer["marks"])
        yield "flight", _flight(answer["flight"])
    if answer["owner"] is not None:
        yield "owner", f"worker {answer['owner']['slot']}, which is asked for it where another has nothing"


def _key(key: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "key", f"{key['url']} on route {key['route']}"
    for name, value in key["fields"].items():
        yield "", f"field {name}: {_value(value)}"
    for name, values in key["cookies"].items():
        yield "", f"cookie {name}: {', '.join(map(_value, values)) or '(absent)'}"
    for line in key["cookie_lines"]:
        yield "", f"Cookie: {_value(line)}"
    for change in key["changed"]:
        yield "changed by", change


def _variant(variant: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = variant["varies_on"].items()
    told = ", ".join(f"{name}: {_value(value)}" for name, value in names) or "varies on nothing known"
    others = variant["other_variants"]
    yield "variant", told + (f"; {others} other stored" if others else "")


def _stored(stored: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if stored is None:
        yield "stored", "nothing"
        return
    yield "stored", f"status {stored['status']}, {stored['body_bytes']} octets, age {stored['age_s']:g} s"
    soft = ", purged softly" if stored["purged_softly"] else ""
    always = ", validated before each use (no-cache)" if stored["always_revalidate"] else ""
    yield (
        "lifetime",
        f"{stored['lifetime_s']:g} s ({stored['lifetime_from']}), ttl {stored['ttl_s']:g} s{soft}{always}",
    )
    yield (
        "stale",
        f"grace {stored['grace_s']:g} s, if the origin fails {stored['stale_if_error_s']:g} s, "
        f"if the client asks {stored['max_stale_s']:g} s",
    )
    if stored["labels"]:
        yield "tags", ", ".join(map(_value, stored["labels"]))
    if stored["refused"] is not None:
        yield "not for it", stored["refused"]


def _marks(marks: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if marks["not_shareable"] is not None:
        yield "mark", f"not for sharing: {marks['not_shareable']}"
    if marks["unreachable"] is not None:
        yield "mark", f"origin unreachable: {marks['unreachable']}"


def _flight(flight: Mapping[str, Any] | None) -> str:
    if flight is None:
        return "none"
    joins = "may be joined" if flight["accepts"] else "may not be joined"
    behind = ", behind a stored answer" if flight["behind_a_stored_answer"] else ""
    return f"{flight['state']} for {flight['running_s']:g} s, {flight['seats']} seats, {joins}{behind}"


def _value(value: str | None) -> str:
    """As it can be printed: a key holds what clients sent."""
    if value is None:
        return "(absent)"
    return value if value.isprintable() else ascii(value)
