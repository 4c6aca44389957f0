"""`python -m loadtest.shows.variants`: a crowd of ten languages at one cold key, one fetch for each.

The origin says `Vary: Accept-Language` and writes into each body whose language it was made for: a body that
reached a client of another language would be seen. Then one purge takes all variants of the URL.
"""

from __future__ import annotations

import asyncio
import json
import sys

from loadtest.shows.report import Report, main
from loadtest.shows.stage import Answer, Stage, scaled, staged, times

CLIENTS = 1_000
LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pl", "pt", "sv", "tr")
_PATH = "/greeting"
_TARGET = f"{_PATH}?unique=1&vary=Accept-Language&size=2048&delay=0.2&cc=max-age=600"


async def play(size: float = 1.0) -> Report:
    """The show."""
    report = Report("variants: one key, ten languages, one fetch for each (RFC 9111 §4.1)")
    async with staged() as stage:
        await _play(stage, scaled(CLIENTS, size, at_least=len(LANGUAGES)), report)
    return report


async def _play(stage: Stage, clients: int, report: Report) -> None:
    cold = await _crowd(stage, clients)
    report.fact("clients", f"{clients:,} in {len(LANGUAGES)} languages")
    report.fact("cold: got their own language", _right(cold))
    report.fact("cold: times, the origin's 0.2 s included", times([answer.took_s for _, answer in cold]))
    report.fact("cold: fetches", f"{await stage.fetches(_PATH):,}")
    report.expect("each client of a cold key gets its own language", holds=_all_right(cold))
    report.expect(
        "the origin was asked once for each language", holds=await stage.fetches(_PATH) == len(LANGUAGES)
    )
    warm = await _crowd(stage, clients)
    report.fact("stored: got their own language", _right(warm))
    report.expect(
        "a second crowd is answered from what is stored",
        holds=_all_right(warm) and all("hit" in answer.cache_status for _, answer in warm),
    )
    purged = await stage.purge(url=stage.lockgate.url + _TARGET)
    report.fact("variants that one purge of the URL removed", str(purged))
    report.expect("one purge removes all variants", holds=purged == len(LANGUAGES))
    again = await _crowd(stage, clients)
    fetches = await stage.fetches(_PATH)
    report.fact("after the purge: got their own language", _right(again))
    report.fact("fetches in all", f"{fetches:,}")
    report.expect("afterwards each client gets its own language again", holds=_all_right(again))
    # Now that it is known what the key varies on, the crowd splits at once.
    report.expect("with one more fetch for each language", holds=fetches == 2 * len(LANGUAGES))


async def _crowd(stage: Stage, clients: int) -> list[tuple[str, Answer]]:
    languages = [LANGUAGES[number % len(LANGUAGES)] for number in range(clients)]
    answers = await asyncio.gather(*(stage.ask(_TARGET, accept_language=each) for each in languages))
    return list(zip(languages, answers, strict=True))


def _is_right(language: str, answer: Answer) -> bool:
    return answer.status == 200 and json.loads(answer.body)["vary"]["Accept-Language"] == language


def _all_right(answers: list[tuple[str, Answer]]) -> bool:
    return all(_is_right(*each) for each in answers)


def _right(answers: list[tuple[str, Answer]]) -> str:
    return f"{sum(_is_right(*each) for each in answers):,} of {len(answers):,}"


if __name__ == "__main__":
    sys.exit(main(play, __doc__))
