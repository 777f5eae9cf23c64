"""More than twenty kinds of secrets and names are planted in text and JSON, and none is left."""

from __future__ import annotations

import json

import pytest

from diagnose.reports.redaction import Identity, Redactor, listing

IDENTITY = Identity(
    homes=("/home/mallory", "/srv/people/mallory"),
    users=("mallory", "root", "ab"),
    hosts=("build-box-7", "build-box-7.example.org"),
)
# Put together here, so that nobody's scanner takes them for real ones.
PLANTED = {
    "AWS key": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS temporary key": "ASIA" + "IOSFODNN7EXAMPLF",
    "AWS secret": "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "GitHub token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6",
    "GitHub fine-grained token": "github_pat_" + "11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ",
    "GitLab token": "glpat-" + "xYz123AbC456dEf789Gh",
    "Slack token": "xoxb-" + "123456789012-abcdefGHIJKL",
    "Stripe key": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "Google key": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "API key": "sk-" + "proj-abcdefghijklmnopqrstuv",
    "npm token": "npm_" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "PyPI token": "pypi-" + "AgEIcHlwaS5vcmcCJDU3YzM",
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
    "bearer": "sent Bearer " + "abcdef1234567890abcdef",
    "basic": "Authorization: Basic " + "bWFsbG9yeTpodW50ZXIy",
    "cookie": "Cookie: session=" + "s3ss10n-value; theme=dark",
    "set-cookie": "set-cookie: id=" + "a3fWa; HttpOnly",
    "database URL": "DATABASE_URL=postgres://app:" + "hunter2pw@127.0.0.1:5432/db",
    "redis URL": "redis://:" + "r3d1spw@127.0.0.1/0",
    "password": "password=" + "correct-horse",
    "quoted password": 'DB_PASSWORD: "' + 'battery staple"',
    "JSON in a log": '{"apiKey": "' + 'k3y-in-json"}',
    "option": "./server --admin-token " + "t0k3n-value --port 80",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpA\n" + "-----END RSA PRIVATE KEY-----",
    "home": "/home/mallory/project/server.py",
    "other home": "/srv/people/mallory/server.py",
    "home of another": "/home/trent/lib/x.so",
    "home on a Mac": "/Users/peggy/x.py",
    "user": "started by mallory (uid 1000)",
    "host": "listening on build-box-7.example.org:8080",
    "host in capitals": "BUILD-BOX-7 says",
    "mail": "write to mallory.m@example.org",
    "address": "peer 192.168.17.23 connected",
    "IPv6": "peer 2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "hardware address": "eth0 52:54:00:12:ab:cd",
}  # fmt: skip
SECRETS = (
    *("IOSFODNN7", "wJalrX", "a1B2c3", "11ABCDEFG0", "xYz123", "123456789012-", "4eC39H", "SyA1b2"),
    *("proj-abc", "abcdefghijklmnopqrstuvwxyz0123", "AgEIcH", "eyJzdW", "abcdef1234567890"),
    "bWFsbG",
    *("s3ss10n", "a3fWa", "hunter2pw", "r3d1spw", "correct-horse", "battery", "k3y-in-json"),
    *("t0k3n", "MIIEpA", "mallory", "trent", "peggy", "build-box", "BUILD-BOX", "192.168", "2001:"),
    "52:54:00",
)  # fmt: skip


@pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED.keys())
def test_none_is_left_in_text(text: str) -> None:
    redactor = Redactor(IDENTITY)
    shown = redactor.text(f"before {text} after")
    assert not [secret for secret in SECRETS if secret in shown]
    assert shown.startswith("before ")
    assert redactor.removed


def test_none_is_left_in_a_log_of_all() -> None:
    shown = Redactor(IDENTITY).text("\n".join(PLANTED.values()))
    assert not [secret for secret in SECRETS if secret in shown]


def test_none_is_left_in_json() -> None:
    data = {
        "log": list(PLANTED.values()),
        "command": ["./server", "--db-password", "hunter2pw", "--port", "80", "--verbose"],
        "headers": [["Authorization", "r3d1spw"], ["Accept", "text/plain"]],
        "environment": {"SECRET_KEY": "t0k3n", "PATH": "/usr/bin", "mallory": {"token": "a3fWa"}},
    }
    shown = Redactor(IDENTITY).value(json.loads(json.dumps(data)))
    assert not [secret for secret in SECRETS if secret in json.dumps(shown)]
    assert shown["command"][3:] == ["--port", "80", "--verbose"]
    assert shown["headers"][1] == ["Accept", "text/plain"]
    assert shown["environment"]["PATH"] == "/usr/bin"


@pytest.mark.parametrize(
    "text",
    [
        "/usr/lib/python3.11/asyncio/runners.py:118",
        "std::vector<int>::push_back(int const&)",
        "127.0.0.1:8080 and 0.0.0.0:80",
        "Linux 6.18.44-fc, Python 3.11.7, 12:30:15",
        "root",
        "/rooted/ab/absolute",
        "tokenizer (parser.py:12)",
        "POST /upload HTTP/1.1",
        "--port 8080 --workers 4",
        "2 tokens were read in 3.5 ms",
    ],
)
def test_what_may_stay_stays(text: str) -> None:
    redactor = Redactor(IDENTITY)
    assert redactor.text(text) == text
    assert not redactor.removed


def test_numbers_and_nothing_stay() -> None:
    row = [1, 2.5, None, True, {"a": []}]
    assert Redactor(IDENTITY).value(row) == row


def test_what_was_taken_out_is_counted() -> None:
    redactor = Redactor(IDENTITY)
    for _ in range(3):
        redactor.text("/home/mallory/x")
    redactor.text("password=x12345")
    assert redactor.removed == {"home folder": 3, "secret by its name": 1}
    page = listing(redactor.removed, ["server.log"])
    assert "| home folder | 3 |" in page
    assert "`server.log`" in page
    assert "Nothing was found" in listing(Redactor(IDENTITY).removed, [])
