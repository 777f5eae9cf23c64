"""What must not leave the machine is taken out of text and JSON, and counted by its kind.

Known names (home folders, users, hosts) are given; secrets are told by their form or by the name
that they stand under. What has neither cannot be found: a bundle says so, and lists what was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# Names that say nothing about anybody, and stand in paths and logs of every machine.
GENERIC = frozenset(
    {
        *("root", "user", "users", "admin", "nobody", "daemon", "ubuntu", "debian", "home", "www"),
        *("app", "server", "worker", "python", "node", "test", "runner", "localhost", "www-data"),
    }
)
SHORTEST_NAME = 3

_SECRET_NAME = (
    r"(?:password|passwd|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|"
    r"auth[-_]?key|signing[-_]?key|encryption[-_]?key|credentials?|session[-_]?id)"
)
_HEADER = r"(?:proxy-authorization|authorization|set-cookie|cookie|x-api-key|x-auth-token)"
_NAMED = re.compile(rf"(?i)(?:^|[-_.\W]|\w[-_.]?){_SECRET_NAME}(?:[-_.]?\w*)$|^{_HEADER}$")

Rule = tuple[str, re.Pattern[str], str]
# (kind, what it looks like, what stands there instead); \g<1> is kept. Sources: the vendors'
# documentation of the forms of their tokens.
_RULES: tuple[Rule, ...] = (
    (
        "private key",
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        "",
    ),
    ("password in a URL", re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"']*:[^\s/\"']*@"), r"\g<1>"),
    ("header", re.compile(rf"(?i)(\b{_HEADER}\s*[:=]\s*)[^\r\n\"']+"), r"\g<1>"),
    ("bearer token", re.compile(r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{8,}"), r"\g<1>"),
    ("JSON web token", re.compile(r"\beyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*"), ""),
    ("AWS key", re.compile(r"\b(?:AKIA|ASIA|AGPA|AROA)[A-Z0-9]{16}\b"), ""),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,})"), ""),
    ("GitLab token", re.compile(r"\bgl(?:pat|ptt|dt|rt)-[\w-]{16,}"), ""),
    ("Slack token", re.compile(r"\bxox[abeoprs]-[\w-]{10,}"), ""),
    ("Stripe key", re.compile(r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,}"), ""),
    ("Google key", re.compile(r"\bAIza[\w-]{30,}"), ""),
    ("API key", re.compile(r"\bsk-[\w-]{16,}"), ""),
    ("package token", re.compile(r"\b(?:npm_[A-Za-z0-9]{20,}|pypi-[\w-]{16,}|dop_v1_\w{20,})"), ""),
    (
        "secret by its name",
        re.compile(
            rf"(?i)((?<![A-Za-z])(?:\w+[-_.])?{_SECRET_NAME}\w*[\"']?\s*[=:]\s*)"
            r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"'}\])]+)"
        ),
        r"\g<1>",
    ),
    (
        "option",
        re.compile(rf"(?i)(--?[\w-]*{_SECRET_NAME}[\w-]*[ =])(?!\[removed)(?:'[^']*'|\S+)"),
        r"\g<1>",
    ),
    ("mail address", re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b"), ""),
    (
        "hardware or IPv6 address",
        re.compile(
            r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}(?![\w:])|"
            r"(?<![\w:])fe80::[0-9a-f:]+"
        ),
        "",
    ),
    (
        "address",
        re.compile(
            r"(?<![\w.])(?!127\.|0\.0\.0\.0|255\.)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}"
            r"(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.]\d|\w)"
        ),
        "",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Identity:
    """Names of the machine and of its people."""

    homes: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class Redactor:
    """Takes things out; `removed` counts them by kind."""

    def __init__(self, identity: Identity) -> None:
        self.removed: Counter[str] = Counter()
        self._names: list[tuple[str, re.Pattern[str], str]] = []
        self._seen: dict[str, tuple[str, Counter[str]]] = {}
        for home in sorted(set(identity.homes), key=len, reverse=True):
            if len(home) > 1:
                pattern = re.compile(re.escape(home.rstrip("/")) + r"(?![\w.-])")
                self._names.append(("home folder", pattern, "~"))
        anybody = re.compile(r"/(?:home|Users)/(?!\[)[^\s/:\"'()]+")
        self._names.append(("home folder", anybody, "~"))
        for kind, names in (("host name", identity.hosts), ("user name", identity.users)):
            for name in sorted(set(names), key=len, reverse=True):
                if len(name) >= SHORTEST_NAME and name.lower() not in GENERIC:
                    pattern = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", re.I)
                    self._names.append((kind, pattern, f"[{kind.partition(' ')[0]}]"))

    def text(self, text: str) -> str:
        """The text without them."""
        known = self._seen.get(text)
        if known is None:
            counts: Counter[str] = Counter()
            known = (self._applied(text, counts), counts)
            # Samples repeat the same few names hundreds of thousands of times.
            if len(text) < 256:
                self._seen[text] = known
        self.removed.update(known[1])
        return known[0]

    def value(self, value: Any) -> Any:
        """JSON without them: strings, keys, arguments, and pairs of a header and its value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self._under(key, item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return self._row(value)
        return value

    def _under(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and value and _NAMED.search(name):
            return self._gone("secret by its name")
        return self.value(value)

    def _row(self, row: Sequence[Any]) -> list[Any]:
        made = [self.value(item) for item in row]
        for index in range(1, len(row)):
            before, item = row[index - 1], row[index]
            if not (isinstance(before, str) and isinstance(item, str)):
                continue
            # `--password VALUE` among arguments; `["Cookie", VALUE]` among headers.
            option = before.startswith("-") and "=" not in before and not item.startswith("-")
            pair = index == 1 and len(row) == 2
            if (option or pair) and _NAMED.search(before.lstrip("-")):
                made[index] = self._gone("option" if option else "header")
        return made

    def _gone(self, kind: str) -> str:
        self.removed[kind] += 1
        return f"[removed: {kind}]"

    def _applied(self, text: str, counts: Counter[str]) -> str:
        for kind, pattern, kept in _RULES:
            text = pattern.sub(self._replacement(kind, kept, counts), text)
        for kind, pattern, instead in self._names:
            text, number = pattern.subn(instead.replace("\\", r"\\"), text)
            if number:
                counts[kind] += number
        return text

    def _replacement(
        self, kind: str, kept: str, counts: Counter[str]
    ) -> Callable[[re.Match[str]], str]:
        def instead(match: re.Match[str]) -> str:
            rest = match[0][len(match[1]) :] if kept else match[0]
            if "[removed:" in rest:
                return match[0]
            counts[kind] += 1
            return f"{match.expand(kept)}[removed: {kind}]"

        return instead


def listing(removed: Counter[str], files: Sequence[str]) -> str:
    """What was taken out, as Markdown, with what could not be looked into."""
    lines = ["# What was taken out", ""]
    if removed:
        lines += ["| kind | times |", "|---|---:|"]
        lines += [f"| {kind} | {count:,} |" for kind, count in sorted(removed.items())]
    else:
        lines.append("Nothing was found that had to be taken out.")
    lines += [
        "",
        "Secrets are told by their form or by the name that they stand under, people and machines "
        "by the names that this machine knows. Others cannot be told: look through the files "
        "before you give them away.",
        "",
        *(f"- `{name}`" for name in sorted(files)),
        "",
    ]
    return "\n".join(lines)
