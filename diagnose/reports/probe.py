"""The checks of a server: a line each, the exact exchange of those that failed, a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.text import Text

from diagnose.model.validation import CheckResult, Event, Excerpt, Exchange, Outcome
from diagnose.plain import printable
from diagnose.units import format_seconds

SCHEMA = 1
STYLES = {
    Outcome.PASS: "green",
    Outcome.WARN: "yellow",
    Outcome.FAIL: "bold red",
    Outcome.ERROR: "bold red",
    Outcome.SKIPPED: "dim",
}
NAME_WIDTH = 42
# Of what went one way: enough lines for a head, enough of a line to know a body by.
MOST_LINES, MOST_LINE, MOST_BINARY, TAIL = 24, 200, 64, 48
_TEXT = {9, 10, 13, *range(32, 127)}
_ESCAPES = {9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\"}
_ESCAPED = tuple(
    _ESCAPES.get(code, chr(code) if 32 <= code < 127 else f"\\x{code:02x}") for code in range(256)
)


def escaped(data: bytes) -> str:
    """Bytes as printable ASCII, as a C string has them."""
    return "".join(_ESCAPED[code] for code in data)


def line(result: CheckResult, known: bool = False) -> Text:
    """One check in one line; a second one where there is something to say about it.

    known: the same was shown before.
    """
    head = Text(f"{result.outcome.value:<7}", style=STYLES[result.outcome])
    head.append(f"  {result.group:<13} {result.name:<{NAME_WIDTH}}", style="default")
    if result.outcome is Outcome.SKIPPED:
        return head.append(f"  {result.detail}", style="dim")
    head.append(f"  {format_seconds(result.elapsed_s):>9}", style="dim")
    if result.outcome is not Outcome.PASS and result.detail:
        said = printable(result.detail) + " (as above)" * known
        head.append(f"\n         {said}", style="default")
    return head


def shown_exchange(result: CheckResult) -> Text:
    """What went over the wire where a check failed, and what should have."""
    wrong = [each for each in result.exchanges if each.outcome in (Outcome.FAIL, Outcome.ERROR)]
    text = _transcript(max(wrong, key=lambda each: each.outcome is Outcome.ERROR))
    if len(wrong) > 1:
        text.append(f"         ({len(wrong) - 1} more like it: --json shows all)\n", style="dim")
    text.rstrip()
    return text


def _transcript(exchange: Exchange) -> Text:
    text = Text()
    before: Event | None = None
    for event in exchange.events:
        if before is not None and before.sent and event.sent:
            pause = format_seconds(event.at_s - before.at_s)
            text.append(f"           ({pause} later)\n", style="dim")
        mark, style = (">", "cyan") if event.sent else ("<", "magenta")
        for shown in _lines(event.excerpt):
            text.append(f"         {mark} {shown}\n", style=style)
        before = event
    if not any(not event.sent for event in exchange.events):
        text.append("         < nothing\n", style="dim")
    return text.append(f"         expected  {exchange.expected}\n", style="default")


def _lines(excerpt: Excerpt) -> list[str]:
    """The bytes of an excerpt as lines, what is left out told by its size."""
    head, end, body = excerpt.start.partition(b"\r\n\r\n")
    found = [escaped(part[:MOST_LINE]) for part in (head + end).splitlines(keepends=True)]
    found = found[:MOST_LINES] if end else []
    body = body if end else head
    if all(code in _TEXT for code in body):
        parts = body.splitlines(keepends=True)[: MOST_LINES - len(found)]
        shown = [part[:MOST_LINE] for part in parts]
    else:
        shown = [body[:MOST_BINARY]]
    size = excerpt.size - len(head + end) * bool(end)
    left = size - sum(map(len, shown))
    found += [escaped(part) for part in shown if part]
    if not left:
        return found
    tail = (excerpt.start + excerpt.end)[-min(TAIL, left) :]
    if left > len(tail):
        found.append(f"... {left - len(tail):,} bytes ...")
    return [*found, escaped(tail)]


def never_answered(results: Sequence[CheckResult]) -> list[str]:
    """The endpoints that gave no success in any check that was made."""
    asked: dict[str, bool] = {}
    for result in results:
        if result.endpoint and result.outcome is not Outcome.SKIPPED:
            succeeded = any(status // 100 == 2 or status == 101 for status in result.statuses)
            asked[result.endpoint] = asked.get(result.endpoint, False) or succeeded
    return [endpoint for endpoint, succeeded in asked.items() if not succeeded]


def verdict(results: Sequence[CheckResult], planned: int) -> Text:
    """All checks in one line. planned: how many were to be made."""
    counts = Counter(result.outcome for result in results)
    failed = Counter(result.group for result in results if result.failed)
    told = [
        (counts[Outcome.PASS], "passed"),
        (counts[Outcome.WARN], "warned"),
        (counts[Outcome.SKIPPED], "skipped"),
        (planned - len(results), "not made"),
    ]
    rest = ", ".join(f"{count} {word}" for count, word in told if count)
    if not failed:
        whole = len(results) == planned
        return Text(f"VERDICT  {rest}", style="bold green" if whole else "bold yellow")
    groups = ", ".join(f"{group} {count}" for group, count in failed.items())
    text = f"VERDICT  {sum(failed.values())} failed ({groups}); {rest}".rstrip("; ")
    if missing := never_answered(results):
        text += f"\n         never answered with success: {', '.join(missing)}"
    return Text(text, style="bold red")


def document(
    results: Sequence[CheckResult], planned: int, state: str, ports: dict[str, int]
) -> str:
    """The same for programs, with all exchanges. Bytes are text of one character each (latin-1)."""
    counts = Counter(result.outcome for result in results)
    whole: dict[str, Any] = {
        "schema": SCHEMA,
        "state": state,
        "ports": ports,
        "planned": planned,
        "counts": {outcome.value: counts[outcome] for outcome in Outcome},
        "never_answered": never_answered(results),
        "checks": [_check(result) for result in results],
    }
    text: str = msgspec.json.format(msgspec.json.encode(whole), indent=2).decode()
    return text


def _check(result: CheckResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "group": result.group,
        "name": result.name,
        "endpoint": result.endpoint,
        "outcome": result.outcome.value,
        "detail": result.detail,
        "elapsed_s": result.elapsed_s,
        "exchanges": [
            {
                "port": exchange.port,
                "outcome": exchange.outcome.value,
                "detail": exchange.detail,
                "expected": exchange.expected,
                "events": [
                    {
                        "at_s": event.at_s,
                        "sent": event.sent,
                        "size": event.excerpt.size,
                        "start": event.excerpt.start.decode("latin-1"),
                        "end": event.excerpt.end.decode("latin-1"),
                    }
                    for event in exchange.events
                ],
            }
            for exchange in result.exchanges
        ],
    }
