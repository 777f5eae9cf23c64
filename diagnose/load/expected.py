"""What a right answer looks like, in words."""

from __future__ import annotations

from diagnose.model.scenario import Answer, Expectation


def in_words(expect: Expectation) -> str:
    """All that an expectation names, in one line."""
    if expect.answer is Answer.ANY:
        return "any answer, or none"
    wanted = [f"status {list(expect.status) or '2xx'}"]
    if expect.content_type:
        wanted.append(f"Content-Type {expect.content_type}")
    if expect.body is not None:
        wanted.append(f"body {expect.body!r}")
    if expect.sum:
        wanted.append("the sum of the integers in query and body")
    if expect.items is not None or expect.min_items is not None:
        count = expect.items if expect.items is not None else f"at least {expect.min_items}"
        wanted.append(f"{count} items with total = price * quantity * {expect.multiplier}")
    if expect.rows is not None:
        wanted.append(f"at most {expect.rows} database rows")
    if expect.price is not None:
        wanted.append(f"prices {expect.price[0]:g} to {expect.price[1]:g}")
    if expect.encoding is not None:
        wanted.append(f"Content-Encoding {' or '.join(expect.encoding) or 'none'}")
    if expect.max_wire_bytes is not None:
        wanted.append(f"at most {expect.max_wire_bytes} bytes on the wire")
    if expect.same:
        wanted.append("the same body each time")
    return ", ".join(wanted)
