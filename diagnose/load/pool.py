"""All load workers of one load: started, told to go, listened to, merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from diagnose.child import Child
from diagnose.errors import WorkerFailed
from diagnose.load.merge import merge
from diagnose.load.worker import Message, Trial, WorkerReport
from diagnose.model.load import LoadPlan, LoadResult, LoadTick


class LoadPool:
    """One process per worker, each with its share of the connections.

    `plan` says `first = 0, step = 1`; each worker gets its own first and step.
    """

    def __init__(self, plan: LoadPlan, workers: int, cpus: Sequence[int]) -> None:
        self._plan = plan
        self._ready: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._trials: dict[int, Trial] = {}
        self._reports: dict[int, WorkerReport] = {}
        self._quitting = False
        self.children: list[Child] = []
        try:
            for index in range(workers):
                child = Child("diagnose.load.worker", str(index), cpus=cpus)
                self.children.append(child)
                child.send(msgspec.json.encode(replace(plan, first=index, step=workers)))
        except BaseException:
            self.close(0.0)
            raise

    @property
    def ready(self) -> bool:
        """Every worker has opened what it could."""
        return len(self._ready) == len(self.children)

    @property
    def established(self) -> int:
        """Connections that stood when the workers were ready."""
        return sum(self._ready.values())

    @property
    def waved(self) -> bool:
        """Every worker has sent what the server took of its first bodies."""
        return len(self._held) == len(self.children)

    @property
    def held(self) -> int:
        """Bodies that are sent but for their last byte."""
        return sum(self._held.values())

    @property
    def tried(self) -> bool:
        """Every worker has told what its trial cost."""
        return len(self._trials) == len(self.children)

    @property
    def at_its_limit(self) -> bool:
        """In the trial a worker could not have done much more."""
        return any(trial.at_its_limit for trial in self._trials.values())

    @property
    def gone(self) -> bool:
        """Every worker's process has ended."""
        return all(child.ended for child in self.children)

    @property
    def finished(self) -> bool:
        """Every worker has reported."""
        return len(self._reports) == len(self.children)

    def heard(self, child: Child, line: bytes) -> LoadTick | None:
        """Take a worker's line; the tick if it was one.

        Raises: WorkerFailed when the worker says that it failed.
        """
        message = msgspec.json.decode(line, type=Message)
        index = self.children.index(child)
        if message.error is not None:
            raise WorkerFailed(f"load worker {index} failed: {message.error}")
        if message.ready is not None:
            self._ready[index] = message.ready
        if message.held is not None:
            self._held[index] = message.held
        if message.trial is not None:
            self._trials[index] = message.trial
        if message.report is not None:
            self._reports[index] = message.report
        return message.tick

    def check_alive(self, child: Child) -> None:
        """Raises: WorkerFailed when a worker ended without its report, unless told to quit."""
        if child.ended and not self._quitting and self.children.index(child) not in self._reports:
            raise WorkerFailed(child.last_words())

    def command(self, word: bytes) -> None:
        """`wave`, `trial`, `go`, `stop` or `quit` to every worker that has not reported."""
        self._quitting = self._quitting or word == b"quit"
        for index, child in enumerate(self.children):
            if index not in self._reports:
                child.send(word)

    def result(self) -> LoadResult | None:
        """What the workers that reported have seen; None when none did."""
        return merge(self._plan, list(self._reports.values())) if self._reports else None

    def close(self, patience_s: float = 1.0) -> None:
        """End the workers."""
        for child in self.children:
            child.close_input()
        for child in self.children:
            child.close(patience_s)
            child.discard()
