"""Records a JVM: `python -m diagnose.profilers._flight_recording PID SECONDS OUT RATE`.

A process of its own, so that one that hangs can be ended. It has the JVM write its recording to
OUT, and writes to its standard output why there is none. The recording is ended whatever happens;
should this process be killed, the JVM ends it by itself, and writes no file.
Source: JDK 17, jcmd(1); `jcmd PID help JFR.start`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from diagnose.profilers._signals import handles, stopped_by_signal
from diagnose.profilers._told import Refused, disk_full, last_words

NAME = "diagnose"
# jcmd is a JVM: it starts in half a second, on a busy machine in some.
JCMD_PATIENCE_S = 10.0
NO_JVM = "this process does not answer as a JVM does (-Xrs, or none): try --profile perf"
# Only what is read: the other events of the shipped settings cost time and space.
SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<configuration version="2.0">
  <event name="jdk.ExecutionSample">
    <setting name="enabled">true</setting>
    <setting name="period">{period_ms} ms</setting>
  </event>
</configuration>
"""


def record(pid: int, seconds: float, out: Path, rate_hz: int) -> None:
    """Record a JVM until so many seconds are over; the recording is in `out`.

    Raises: Refused with the remedy.
    """
    began = time.monotonic()
    stopped = stopped_by_signal()
    if "-XX:+DisableAttachMechanism" in _words(pid):
        raise Refused("this JVM was started with -XX:+DisableAttachMechanism: start it without")
    # jcmd sends SIGQUIT to a JVM that nobody has attached to before.
    if not handles(pid, signal.SIGQUIT):
        raise Refused(NO_JVM)
    settings = out.with_suffix(".jfc")
    settings.write_text(SETTINGS.format(period_ms=round(1000 / rate_hz)), encoding="ascii")
    _give_to_user_of(pid, out.parent, settings)
    name = f"{NAME}-{os.getpid()}"
    limit = round(seconds + 2 * JCMD_PATIENCE_S)
    try:
        _jcmd(pid, "JFR.start", f"name={name}", f"settings={settings}", f"duration={limit}s")
        while not stopped and (left := began + seconds - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
        _jcmd(pid, "JFR.stop", f"name={name}", f"filename={out}")
    except BaseException:
        # It may run, or not: that it is over is all that counts.
        _run(pid, "JFR.stop", f"name={name}")
        raise
    finally:
        settings.unlink(missing_ok=True)
    if not out.exists():
        raise Refused(
            "the JVM wrote no recording that can be read here: it runs in a container, where "
            "diagnose has to run too"
        )


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        raise Refused("the process was gone") from None


def _give_to_user_of(pid: int, folder: Path, settings: Path) -> None:
    """The JVM reads its settings and writes its recording as its own user."""
    try:
        owner = os.stat(f"/proc/{pid}")
    except OSError:
        raise Refused("the process was gone") from None
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(folder, owner.st_uid, owner.st_gid)
        os.chown(settings, owner.st_uid, owner.st_gid)


def _run(pid: int, *words: str) -> tuple[int, str]:
    """The status of jcmd and what it said.

    Raises: Refused when it took too long.
    """
    try:
        done = subprocess.run(
            ["jcmd", str(pid), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=JCMD_PATIENCE_S,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused(
            f"the JVM did not answer jcmd within {JCMD_PATIENCE_S:.0f} s: it may be stopped"
        ) from None
    return done.returncode, done.stdout.decode(errors="replace")


def _jcmd(pid: int, *words: str) -> None:
    """Raises: Refused with the remedy when the command failed."""
    status, said = _run(pid, *words)
    # jcmd's status is 0 for commands that the JVM refused.
    if status or "Could not" in said or "Exception" in said or "Failed to" in said:
        raise Refused(remedy(said, pid))


def remedy(said: str, pid: int) -> str:
    """What to do where jcmd failed, from what it said."""
    if "No space left" in said or "Disk quota exceeded" in said:
        return disk_full(Path("the JVM's folder for temporary files"))
    if "Operation not permitted" in said or "well-known file" in said or "Permission" in said:
        return "jcmd may not attach: run as the user of the JVM, or as root"
    if "No such process" in said or not Path(f"/proc/{pid}").exists():
        return "the process was gone"
    if "Unknown diagnostic command" in said or "jdk.jfr" in said:
        return "this JVM was built without Flight Recorder (module jdk.jfr): try --profile perf"
    if "AttachNotSupported" in said:
        return NO_JVM
    return f"jcmd gave no recording: {last_words(said)}"


def main(arguments: list[str]) -> str:
    """What is said of PID, SECONDS, OUT and RATE; '' when all went well."""
    pid, seconds, out, rate = arguments
    try:
        record(int(pid), float(seconds), Path(out), int(rate))
    except Refused as refused:
        return str(refused)
    except OSError as error:
        return f"no recording: {error}"
    return ""


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]))
