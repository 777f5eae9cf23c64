"""What py-spy and jcmd print, as threads; and what is to be done where they print nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.profilers.off_cpu import jcmd_threads, py_spy_dump

DATA = Path(__file__).parents[1] / "data" / "profilers"

JVM = """2026-11-25 10:00:00
Full thread dump OpenJDK 64-Bit Server VM (17.0.12+7-Debian mixed mode, sharing):

"pool-1-thread-1" #23 prio=5 os_prio=0 cpu=62.69ms elapsed=4.02s tid=0x00007f01 nid=0x1a2b waiting for monitor entry  [0x00007f5]
   java.lang.Thread.State: BLOCKED (on object monitor)
	at Faults.lambda$apply$3(Faults.java:33)
	- waiting to lock <0x000000071ae0f5c8> (a java.lang.Object)
	at jdk.httpserver@17.0.12/com.sun.net.httpserver.Filter$Chain.doFilter(Filter.java:95)
	at java.lang.Thread.run(java.base@17.0.12/Thread.java:840)

"HTTP-Dispatcher" #22 prio=5 os_prio=0 cpu=1.00ms elapsed=4.02s tid=0x00007f02 nid=6700 runnable  [0x00007f6]
   java.lang.Thread.State: RUNNABLE
	at sun.nio.ch.EPoll.wait(java.base@17.0.12/Native Method)

"GC Thread#0" os_prio=0 cpu=9.57ms elapsed=4.06s tid=0x00007f03 nid=0x1a2f runnable
"""  # noqa: E501


def test_threads_of_a_jvm() -> None:
    blocked, dispatcher = jcmd_threads.parse(JVM)
    assert (blocked.tid, blocked.name) == (0x1A2B, "pool-1-thread-1")
    assert blocked.frames[-1] == "Faults.lambda$apply$3 (Faults.java:33)"
    assert blocked.frames[0].startswith("java.lang.Thread.run (")
    assert dispatcher.tid == 6700
    assert len(dispatcher.frames) == 1


def test_threads_of_an_interpreter() -> None:
    threads = py_spy_dump.parse((DATA / "py_spy_dump.json").read_text())
    assert [thread.name for thread in threads].count("MainThread") == 1
    first = threads[0]
    assert (first.tid, first.name, first.holds_lock) == (25710, "ThreadPoolExecutor-0_12", False)
    assert first.frames[-1] == "locked (/srv/wsgi.py:13)"
    assert first.frames[-2] == "app (/srv/wsgi.py:6)"


@pytest.mark.parametrize("module", [jcmd_threads, py_spy_dump])
@pytest.mark.parametrize("text", ["", "no dump at all", "[", '{"a": 1}', "\x00"])
def test_other_words_are_no_dump(module: object, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        module.parse(text)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("module", "said", "wanted"),
    [
        (py_spy_dump, "Error: Permission denied (os error 13)", "ptrace_scope"),
        (py_spy_dump, "Error: Failed to find python version", "does not know"),
        (py_spy_dump, "", "it said nothing"),
        (jcmd_threads, "Unable to open socket file: well-known file is not secure", "user"),
        (jcmd_threads, "12: No such process", "No such process"),
    ],
)
def test_a_remedy_for_each_failure(module: object, said: str, wanted: str) -> None:
    assert wanted in module.remedy(said)  # type: ignore[attr-defined]


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jcmd_threads.shutil, "which", lambda _: None)
    assert "jdk" in jcmd_threads.available()
