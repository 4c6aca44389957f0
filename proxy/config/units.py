"""Units of the settings: a name ends in `_s` or `_bytes`; a file may write `500ms` or `16MiB`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """What a setting's number counts, and the notation that a file may use instead of a bare number.

    `factors` holds the suffixes, smallest first, with what one of them counts.
    """

    ending: str
    name: str
    factors: Mapping[str, Fraction]
    examples: str

    @property
    def pattern(self) -> str:
        """Regular expression of the notation, anchored (ECMA-262 and Python read it alike)."""
        return f"^([0-9]{{1,15}}(?:\\.[0-9]{{1,9}})?) ?({'|'.join(self.factors)})$"

    def parse(self, text: str) -> int | float | None:
        """The number that `text` stands for, an int where it is whole; None if it is not in the notation."""
        found = re.fullmatch(self.pattern, text, re.ASCII)
        if found is None:
            return None
        number = Fraction(found[1]) * self.factors[found[2]]
        return int(number) if number.denominator == 1 else float(number)

    def format(self, number: float) -> str:
        """The shortest notation that parses to the same number; a bare number where there is none."""
        if number == 0:
            return "0"
        for suffix, factor in reversed(tuple(self.factors.items())):
            count = Fraction(number) / factor
            if count.denominator == 1 and suffix != "B":  # 8190 reads better than 8190B
                return f"{count.numerator}{suffix}"
        return str(number)

    def advice(self, text: str) -> str:
        """What to write instead of `text`, which is not in the notation."""
        wrong = re.fullmatch(r"([0-9.]+) ?([A-Za-z]+)", text)
        if wrong is not None:
            for suffix in self.factors:
                if _same_letters(suffix, wrong[2]):
                    return f"write {wrong[1]}{suffix}"
        return f"write a number of {self.name}, or with a unit, as {self.examples}"


def _same_letters(suffix: str, found: str) -> bool:
    """Whether `found` means `suffix` in another spelling: `mib`, `MB`, `M`, `sec`."""
    if suffix.endswith("iB"):
        return found.lower() in {suffix.lower(), suffix[0].lower() + "b", suffix[0].lower()}
    return found.lower() in _SPELLED_OUT.get(suffix, ())


_SPELLED_OUT = {
    "ms": ("msec", "millisecond", "milliseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hour", "hours"),
    "d": ("d", "day", "days"),
}

SECONDS = Unit(
    ending="_s",
    name="seconds",
    factors={
        "ms": Fraction(1, 1000),
        "s": Fraction(1),
        "m": Fraction(60),
        "h": Fraction(3600),
        "d": Fraction(86400),
    },
    examples="500ms, 2s, 5m, 1h, 1d",
)
BYTES = Unit(
    ending="_bytes",
    name="bytes",
    factors={
        "B": Fraction(1),
        "KiB": Fraction(1 << 10),
        "MiB": Fraction(1 << 20),
        "GiB": Fraction(1 << 30),
        "TiB": Fraction(1 << 40),
    },
    examples="64KiB, 16MiB, 1GiB",
)


def unit_of(setting: str) -> Unit | None:
    """The unit that a setting's name ends with; None for one without."""
    return next((unit for unit in (SECONDS, BYTES) if setting.endswith(unit.ending)), None)
