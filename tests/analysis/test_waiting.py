"""Who waits, on what, called from where; and what that adds to a finding."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnose.analysis.frames import blamed, frame
from diagnose.analysis.located import located
from diagnose.analysis.thread_time import Place
from diagnose.analysis.waiting import (
    in_event_loop,
    interpreter_lock,
    lock_holder,
    native_block,
    native_lock,
    wait_site,
)
from diagnose.model.finding import Finding, Kind, Verdict
from tests.builders import make_run, make_waits

LOCKED = "worker;Thread._bootstrap (threading.py:1);app (/srv/app.py:4);locked (/srv/app.py:9);"
FUTEX = LOCKED + "futex_do_wait"
IDLE = "worker;_worker (/usr/lib/python3.11/concurrent/futures/thread.py:81);futex_do_wait"
REST = "worker;[at rest];app (/srv/app.py:4);futex_do_wait"
LOOP = "MainThread;<module> (/srv/app.py:30);Runner.run (/usr/lib/python3.11/asyncio/runners.py:1);"
SLEEP = LOOP + "handler (/srv/app.py:12);hrtimer_nanosleep"


def test_the_place_where_most_threads_stand_in_a_lock() -> None:
    site = wait_site([make_waits({FUTEX: 60, IDLE: 500, REST: 500})], (Place.LOCK,))
    assert site is not None
    assert site.at.short == "locked (app.py:9)"
    assert site.at_once == 3.0
    assert site.share == 1.0


@pytest.mark.parametrize(
    "stacks",
    [
        pytest.param({IDLE: 500}, id="an idle pool"),
        pytest.param({REST: 500}, id="seen without load too"),
        pytest.param({FUTEX: 2}, id="by chance"),
        pytest.param(
            {f"w;f{n} (/srv/app.py:{n});futex_do_wait": 10 for n in range(1, 6)}, id="everywhere"
        ),
        pytest.param({SLEEP: 60}, id="another kind of wait"),
    ],
)
def test_no_place_is_named_where_none_stands_out(stacks: dict[str, int]) -> None:
    assert wait_site([make_waits(stacks)], (Place.LOCK,)) is None


def test_one_look_is_none() -> None:
    assert wait_site([make_waits({FUTEX: 60}, looks=1)], (Place.LOCK,)) is None


@pytest.mark.parametrize(
    ("stack", "is_loop"),
    [
        ("main;<module> (/srv/app.py:1);run (/srv/app.py:2);wchan", True),
        ("t;Thread._bootstrap (threading.py:1);f (x.py:1);wchan", False),
        ("t;Thread._bootstrap (threading.py:1);run_forever (base_events.py:1);wchan", True),
        (
            "pool-1;java.lang.Thread.run (Thread.java:840);"
            "java.util.concurrent.ThreadPoolExecutor$Worker.run (T.java:1);H.handle (H.java:2);w",
            False,
        ),
        ("HTTP-Dispatcher;java.lang.Thread.run (Thread.java:840);D.run (S.java:1);w", True),
        ("thread;wchan", False),
    ],
)
def test_which_threads_run_an_event_loop(stack: str, is_loop: bool) -> None:
    assert in_event_loop(stack.split(";")) is is_loop


def test_who_has_the_interpreters_lock() -> None:
    held = make_waits(
        {"t;app (/srv/app.py:1);work (/srv/app.py:7)": 15, "t;app (/srv/app.py:1)": 5}, kind="lock"
    )
    holder = lock_holder([held])
    assert holder is not None
    assert (holder.at.short, holder.share) == ("work (app.py:7)", 0.75)
    few = make_waits({"t;work (/srv/app.py:7)": 5}, kind="lock")
    assert lock_holder([few]) is None


def test_native_locks_by_their_caller() -> None:
    stack = "server;start_thread;handle;pthread_mutex_lock;__lll_lock_wait;futex_wait"
    native = make_waits({stack: 2_000_000}, unit="us", runtime="native")
    found = native_lock([native])
    assert found is not None
    assert (found.caller, found.at_once) == ("handle", 2.0)
    assert native_lock([replace(native, note=replace(native.note, runtime="jvm"))]) is None


def test_a_blocking_call_is_named_by_who_made_it() -> None:
    stack = "server;main;loop;handle;usleep;clock_nanosleep;entry_SYSCALL_64;hrtimer_nanosleep"
    found = native_block([make_waits({stack: 900_000}, unit="us", runtime="native")])
    assert found is not None
    assert found.caller == "handle"


def test_waiting_for_the_interpreters_lock() -> None:
    stack = "python;clone3;_PyEval_EvalFrameDefault;take_gil;futex_wait"
    found = interpreter_lock([make_waits({stack: 1_500_000}, unit="us")])
    assert found is not None
    assert found.at_once == 1.5


def finding(name: str, verdict: Verdict = Verdict.FOUND) -> Finding:
    return Finding(name, Kind.CAUSE, verdict, "a claim")


@pytest.mark.parametrize(
    ("name", "stacks", "said"),
    [
        ("lock_contention", {FUTEX: 60}, "3.0 threads at a time waited at locked (app.py:9)"),
        ("blocking_event_loop", {SLEEP: 19}, "it stood in handler (app.py:12) in 95% of 20 looks"),
        (
            "downstream_wait",
            {LOCKED + "unix_stream_read_generic": 40},
            "2.0 threads at a time waited at locked (app.py:9)",
        ),
    ],
)
def test_a_finding_says_where(name: str, stacks: dict[str, int], said: str) -> None:
    run = make_run(waits=[make_waits(stacks)])
    place = located(run, finding(name))
    assert place.claim == f"a claim; {said}"
    assert place.evidence
    assert all(row.source == "profiles/waits-5001.folded" for row in place.evidence)
    # It never changes a verdict.
    for verdict in (Verdict.CLEAR, Verdict.UNKNOWN):
        assert located(run, finding(name, verdict)) == finding(name, verdict)


def test_without_stacks_a_finding_stays_as_it_is() -> None:
    for name in ("lock_contention", "gil_bound", "blocking_event_loop", "downstream_wait", "x"):
        assert located(make_run(), finding(name)) == finding(name)


def test_frames() -> None:
    assert frame("f (/srv/a b/x.py:12)").short == "f (x.py:12)"
    assert frame("malloc").file == ""
    own, library = "f (/srv/x.py:1)", "g (/srv/venv/lib/python3.11/site-packages/p/q.py:2)"
    assert blamed([own, library]) == frame(own)
    assert blamed([library]) == frame(library)
    assert blamed(["h (/usr/lib/python3.11/json/decoder.py:3)"]) is None
    assert blamed(["<module> (/srv/x.py:9)", library]) == frame(library)
