"""`/json` and `/json/{n}?m=M`: dataset items with totals that are computed for each request."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from diagnose.load.conversation import Piece, Seen
from diagnose.load.validation.check import Asked, Asking, Check, Plan, Verdict, Way
from diagnose.load.validation.judging import as_wanted, kept, single, status_of_class
from diagnose.model.scenario import Expectation
from diagnose.model.validation import Outcome

MARCH, APRIL, COMP = "json@2026-03", "json@2026-04", "json-comp"
PATH, COUNTED = "/json", "/json/{n}"
JSON = "application/json"
DATASET = 50
# (n, m) of the round of April 2026.
SIZES = ((1, 3), (5, 7), (10, 2), (15, 5), (25, 4), (40, 8), (50, 6))
COMPRESSED = ((25, 4), (40, 8), (50, 6))
# Beside what the load asks for: no table of finished answers has these.
MULTIPLIERS = (9, 99)
ALL_ITEMS = Expectation(items=DATASET, decimals=2)


def some(count: int, multiplier: int, encoding: tuple[str, ...] | None = None) -> Expectation:
    """The answer to `/json/{count}?m={multiplier}`."""
    return Expectation(items=count, multiplier=multiplier, encoding=encoding)


def drawn(asking: Asking) -> tuple[int, int]:
    """Any n of the dataset and an m that no profile uses."""
    return asking.draw.randint(1, DATASET), asking.draw.randint(*MULTIPLIERS)


def target(count: int, multiplier: int) -> str:
    """The path that asks for so many items."""
    return f"/json/{count}?m={multiplier}"


def exact_json(asked: Asked, seen: Seen) -> Verdict:
    """The judge of the content type: `application/json` and nothing behind it."""
    verdict = status_of_class(2)(asked, seen)
    for response in seen.responses:
        if verdict.outcome is Outcome.PASS and response.head.content_type != JSON:
            return Verdict(
                Outcome.FAIL,
                f"Content-Type {response.head.content_type!r}, expected exactly {JSON!r}",
            )
    return verdict


def _all(asking: Asking) -> Plan:
    return Plan((single(asking.get(PATH), ALL_ITEMS),))


def sizes(asking: Asking) -> Plan:
    """All sizes of the load."""
    return Plan(tuple(single(asking.get(target(*each)), some(*each)) for each in SIZES))


def _drawn(asking: Asking) -> Plan:
    pairs = [drawn(asking) for _ in range(2)]
    return Plan(tuple(single(asking.get(target(*each)), some(*each)) for each in pairs))


def typed(asking: Asking, path: str) -> Plan:
    """The content type of a path."""
    want = Expectation(content_type=JSON)
    expected = f"status 2xx, Content-Type exactly {JSON}"
    return Plan((Asked((Piece(asking.get(path)),), (want,), exact_json, expected),))


def _kept_all(asking: Asking) -> Plan:
    return Plan((Asked(kept(*[asking.get(PATH)] * 2), (ALL_ITEMS,) * 2, as_wanted),))


def kept_some(asking: Asking) -> Plan:
    """Two requests on one connection."""
    pairs = [drawn(asking) for _ in range(2)]
    requests = kept(*(asking.get(target(*each)) for each in pairs))
    return Plan((Asked(requests, tuple(some(*each) for each in pairs), as_wanted),))


def _large(asking: Asking) -> tuple[int, int]:
    """A size that the load compresses: servers may leave small answers as they are."""
    return asking.draw.choice(COMPRESSED)[0], asking.draw.randint(*MULTIPLIERS)


def _plain(asking: Asking) -> Plan:
    each = _large(asking)
    return Plan((single(asking.get(target(*each)), some(*each, encoding=())),))


def _either(asking: Asking) -> Plan:
    codings = ("gzip", "br")
    return Plan(
        tuple(
            single(
                asking.get(target(*each), f"Accept-Encoding: {', '.join(codings)}"),
                some(*each, encoding=codings),
            )
            for each in COMPRESSED
        )
    )


def _only(asking: Asking, coding: str) -> Plan:
    each = _large(asking)
    asked = Asked(
        (Piece(asking.get(target(*each), f"Accept-Encoding: {coding}")),),
        # `identity` too: a server need not have every coding.
        (some(*each, encoding=(coding, "", "identity")),),
        offered,
        f"{each[0]} items with total = price * quantity * {each[1]}, Content-Encoding {coding}",
    )
    return Plan((asked,))


def offered(asked: Asked, seen: Seen) -> Verdict:
    """The judge of a coding that is asked for alone: no other one, and a note without it."""
    verdict = as_wanted(asked, seen)
    if verdict.outcome is not Outcome.PASS:
        return verdict
    if seen.responses[0].head.content_encoding in ("", "identity"):
        return Verdict(Outcome.WARN, "not compressed, although the client accepts this coding")
    return verdict


def _smaller(asking: Asking) -> Plan:
    each = (DATASET, asking.draw.randint(*MULTIPLIERS))
    requests = (asking.get(target(*each)), asking.get(target(*each), "Accept-Encoding: gzip, br"))
    expected = "fewer bytes where gzip or br is accepted"
    return Plan(
        tuple(
            Asked((Piece(request),), (Expectation(),), status_of_class(2), expected)
            for request in requests
        ),
        fewer_bytes,
    )


def fewer_bytes(seen: Sequence[Seen]) -> tuple[int, str] | None:
    """Compares two connections: the second body is shorter on the wire than the first."""
    plain, coded = (each.responses[0].body_length for each in seen)
    if coded < plain:
        return None
    return 1, f"{coded} bytes of body where gzip or br is accepted, {plain} where it is not"


CHECKS = (
    Check(MARCH, f"{DATASET} items with totals", PATH, _all),
    Check(MARCH, "exact content type", PATH, partial(typed, path=PATH)),
    Check(MARCH, "two requests on one connection", PATH, _kept_all),
    Check(APRIL, f"the {len(SIZES)} sizes with totals", COUNTED, sizes),
    Check(APRIL, "any other size and multiplier", COUNTED, _drawn),
    Check(APRIL, "exact content type", COUNTED, partial(typed, path=target(*SIZES[2]))),
    Check(APRIL, "two requests on one connection", COUNTED, kept_some),
    Check(COMP, "gzip or br, with totals", COUNTED, _either),
    Check(COMP, "gzip alone", COUNTED, partial(_only, coding="gzip")),
    Check(COMP, "br alone", COUNTED, partial(_only, coding="br")),
    Check(COMP, "smaller where accepted", COUNTED, _smaller),
    Check(COMP, "no encoding where not asked for", COUNTED, _plain),
    Check("json-tls", f"the {len(SIZES)} sizes with totals", COUNTED, sizes, Way.TLS),
    Check(
        *("json-tls", "exact content type", COUNTED, partial(typed, path=target(*SIZES[2]))),
        Way.TLS,
    ),
    Check("json-tls", "two requests on one connection", COUNTED, kept_some, Way.TLS),
)
