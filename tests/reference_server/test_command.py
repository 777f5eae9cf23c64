"""The reference server's command line: what it refuses, before it serves anything."""

from __future__ import annotations

import pytest

from reference_server.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "99999"], "'99999' is no port: 0 to 65535"),
        (["--port", "http"], "'http' is no port"),
        (["--port", "0", "--tls-port", "99999"], "argument --tls-port: '99999' is no port"),
        (["--port", "0", "--h2c-port", "-1"], "--h2c-port"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--fault", "nothing"], "invalid choice: 'nothing'"),
    ],
)
def test_bad_options(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_bad_port_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "abc")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "'abc' is no port" in capsys.readouterr().err
