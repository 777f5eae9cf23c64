"""The frame of the HTML report: template, scripts, styles, and the policy that allows nothing else.

Whatever comes from a server passes through here as text.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

import jinja2
import msgspec
from markupsafe import Markup, escape

from diagnose.analysis.work import short
from diagnose.model.finding import Evidence
from diagnose.plain import printable
from diagnose.units import format_bytes, format_value

# What a server says at length (a claim that quotes it, its log) is cut: the run directory has all.
MOST_TEXT = 2000
PARTS = ("charts.css", "report.css", "charts.js", "report.js")


def fill(**values: object) -> str:
    """The page with these values in its template; its scripts, styles and policy are there."""
    return _template().render(
        policy=_policy(),
        styles=[_asset(name) for name in PARTS if name.endswith(".css")],
        scripts=[_asset(name) for name in PARTS if name.endswith(".js")],
        **values,
    )


def cut(text: str) -> str:
    """One line of text that may quote a server, at a length that can be read."""
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]} ..."


def _sentence(text: str) -> Markup:
    """With a capital and a full stop, as a page has it, and what stands in backquotes as code."""
    text = printable(cut(text).strip())
    if text:
        text = text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    made = [
        Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(parts)
    ]
    return Markup("").join(made)


def _amount(row: Evidence) -> str:
    return cut(format_value(row.value, row.unit))


def _limit(row: Evidence) -> str:
    return "" if row.threshold is None else cut(format_value(row.threshold, row.unit))


def embedded(data: object) -> Markup:
    """JSON that can stand in a script element: nothing in it ends one or begins a comment."""
    text = msgspec.json.encode(data).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@cache
def _asset(name: str) -> Markup:
    """A script or style of this package, which is not hostile."""
    folder = resources.files("diagnose.reports") / "templates"
    if name.startswith("charts."):
        folder = folder / "vendor"
    return Markup((folder / name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    """Source: Content Security Policy Level 3, 2.3.1, hash-source."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _policy() -> Markup:
    """Nothing is allowed but our own scripts and styles; a `data:` picture is the empty icon."""
    scripts = " ".join(_hash(_asset(name)) for name in PARTS if name.endswith(".js"))
    styles = " ".join(_hash(_asset(name)) for name in PARTS if name.endswith(".css"))
    return Markup(
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _shown(value: object) -> object:
    """Text of a server without the control characters that no page should hold."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("diagnose.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        cut=cut, sentence=_sentence, amount=_amount, limit=_limit, frame=short, bytes=format_bytes
    )
    return environment.get_template("report.html.j2")
