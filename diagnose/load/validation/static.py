"""`/static/{file}`: files from disk with their type and size, 404 for any other name."""

from __future__ import annotations

from collections.abc import Sequence

from diagnose.load.check import decoded
from diagnose.load.conversation import Piece, Seen
from diagnose.load.validation.check import Asked, Asking, Check, Plan, Verdict
from diagnose.load.validation.judging import PASSED, as_wanted, kept, single
from diagnose.model.scenario import CODINGS, Expectation, RequestTemplate
from diagnose.model.validation import Outcome

GROUP = "static"
PATH = "/static/{file}"
FILES_ON_A_CONNECTION = 3


def checks(files: Sequence[RequestTemplate]) -> tuple[Check, ...]:
    """The checks of these files: their paths and types come from the scenario."""

    def types(asking: Asking) -> Plan:
        return Plan(tuple(_asked(asking.get(file.target), file) for file in files))

    def coded(asking: Asking) -> Plan:
        asked = []
        for file in files:
            request = asking.get(file.target, "Accept-Encoding: gzip, br")
            asked += [_asked(asking.get(file.target), file), _asked(request, file, CODINGS)]
        return Plan(tuple(asked), _same_files)

    def on_one(asking: Asking) -> Plan:
        chosen = asking.draw.sample(files, min(FILES_ON_A_CONNECTION, len(files)))
        requests = kept(*(asking.get(file.target) for file in chosen))
        return Plan((Asked(requests, tuple(Expectation() for _ in chosen), as_wanted),))

    def unknown(asking: Asking) -> Plan:
        name = f"/static/no-such-file-{asking.number()}.css"
        return Plan((single(asking.get(name), Expectation(status=(404,))),))

    return (
        Check(GROUP, f"{len(files)} files: type, not empty", PATH, types),
        Check(GROUP, "the same bytes again, and with gzip or br", PATH, coded),
        Check(GROUP, f"{FILES_ON_A_CONNECTION} files on one connection", PATH, on_one),
        Check(GROUP, "unknown file", "", unknown),
    )


def _asked(request: bytes, file: RequestTemplate, codings: tuple[str, ...] = ()) -> Asked:
    want = Expectation(
        content_type=file.expect.content_type,
        encoding=(*codings, "", "identity") if codings else (),
    )
    kind = want.content_type or "of a script"
    expected = f"status 2xx, Content-Type {kind}, a file that is not empty"
    return Asked((Piece(request),), (want,), whole_file, expected)


def whole_file(asked: Asked, seen: Seen) -> Verdict:
    """The judge of a file: its type, and that there is something in it."""
    verdict = as_wanted(asked, seen)
    if verdict != PASSED:
        return verdict
    (response,) = seen.responses
    # RFC 9239: text/javascript; application/javascript is what many servers still say.
    if asked.wants[0].content_type is None and "javascript" not in response.head.content_type:
        kind = response.head.content_type
        return Verdict(Outcome.FAIL, f"Content-Type {kind!r}, expected one of JavaScript")
    if not response.body_length:
        return Verdict(Outcome.FAIL, "the file is empty")
    return PASSED


def _same_files(seen: Sequence[Seen]) -> tuple[int, str] | None:
    for number, (first, again) in enumerate(zip(seen[::2], seen[1::2], strict=True)):
        one, other = decoded(first.responses[0]), decoded(again.responses[0])
        if one is None or one != other:
            size = "no file" if other is None else f"{len(other)} bytes"
            said = f"{size} once decoded, {len(one or b'')} bytes before: not the same file"
            return 2 * number + 1, said
    return None
