"""The worker threads of a node process, reached through the session with its main thread.

Each has an inspector of its own, which the main thread's passes messages on to.
Source: node, src/inspector/node_protocol.pdl, domain NodeWorker.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from diagnose.profilers._inspector_session import Session
from diagnose.profilers._told import Refused

# One that waits (Atomics.wait, a synchronous read) does not answer.
STOP_PATIENCE_S = 3.0
_STOP = 1000

Command = tuple[str, Mapping[str, object]]


class _Info(msgspec.Struct):
    workerId: str = ""
    title: str = ""


class _Attached(msgspec.Struct):
    sessionId: str
    workerInfo: _Info


class _Detached(msgspec.Struct):
    sessionId: str


class _Received(msgspec.Struct):
    sessionId: str
    message: str


class _Taken(msgspec.Struct):
    profile: msgspec.Raw


class _Answer(msgspec.Struct):
    id: int = 0
    result: msgspec.Raw = msgspec.Raw(b"{}")


@dataclass(frozen=True, slots=True)
class Taken:
    """The profile of a worker thread."""

    name: str
    profile: msgspec.Raw


class Workers:
    """Starts a profile in each worker thread, those that begin later too."""

    def __init__(self, session: Session, commands: Sequence[Command]) -> None:
        self._session = session
        self._commands = commands
        self._names: dict[str, str] = {}
        self._profiles: dict[str, msgspec.Raw] = {}
        self._ended = 0
        self._refused = ""

    def begin(self) -> None:
        """Have worker threads told of, and profile them."""
        try:
            self._session.ask("NodeWorker.enable", waitForDebuggerOnStart=False)
        except Refused as refused:
            # Old versions, and other runtimes with node's name.
            self._refused = str(refused)
        self.follow()

    def follow(self) -> None:
        """What was told of worker threads since."""
        for event in self._session.events():
            if event.method == "NodeWorker.attachedToWorker":
                attached = msgspec.json.decode(event.parameters, type=_Attached)
                info = attached.workerInfo
                self._names[attached.sessionId] = worker_name(info.workerId, info.title)
                for number, (method, parameters) in enumerate(self._commands, 1):
                    self._tell(attached.sessionId, number, method, parameters)
            elif event.method == "NodeWorker.detachedFromWorker":
                detached = msgspec.json.decode(event.parameters, type=_Detached)
                self._ended += self._names.pop(detached.sessionId, None) is not None
            elif event.method == "NodeWorker.receivedMessageFromWorker":
                received = msgspec.json.decode(event.parameters, type=_Received)
                self._answered(received)

    def _answered(self, received: _Received) -> None:
        answer = msgspec.json.decode(received.message, type=_Answer)
        if answer.id == _STOP:
            taken = msgspec.json.decode(answer.result, type=_Taken)
            self._profiles[received.sessionId] = taken.profile

    def _tell(
        self, session: str, number: int, method: str, parameters: Mapping[str, object]
    ) -> None:
        message = msgspec.json.encode({"id": number, "method": method, "params": parameters})
        try:
            self._session.ask(
                "NodeWorker.sendMessageToWorker", sessionId=session, message=message.decode()
            )
        except Refused:
            # It ended meanwhile; the event that says so is on its way.
            self._ended += self._names.pop(session, None) is not None

    def stop(self) -> list[Taken]:
        """The profiles of those that are still there and answer."""
        self.follow()
        for session in list(self._names):
            self._tell(session, _STOP, "Profiler.stop", {})
        deadline = time.monotonic() + STOP_PATIENCE_S
        self.follow()
        while set(self._names) - set(self._profiles) and time.monotonic() < deadline:
            self._session.listen(time.monotonic() + 0.05)
            self.follow()
        return [
            Taken(name, self._profiles[session])
            for session, name in self._names.items()
            if session in self._profiles
        ]

    def remark(self) -> str:
        """Which worker threads are missing, and why; '' where none is."""
        parts = []
        if self._refused:
            parts.append(f"worker threads are not in it ({self._refused})")
        if self._ended:
            parts.append(f"{self._ended} worker threads ended before the profile did")
        silent = [name for session, name in self._names.items() if session not in self._profiles]
        if silent:
            parts.append(f"no answer from {', '.join(sorted(silent))}, which may wait all the time")
        return "; ".join(parts)


def worker_name(number: str, title: str) -> str:
    """`worker 1`, or `worker 1 pool` where the program has named it."""
    # The title of one without a name is "Worker 1"; since node 22 "[worker 1] pool".
    name = title.removeprefix(f"[worker {number}]").strip()
    unnamed = name.lower() in ("", f"worker {number}", "worker", "workerthread")
    return f"worker {number}" if unnamed else f"worker {number} {name}"
