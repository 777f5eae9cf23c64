"""Waits on the output of child processes, and breaks off when the user or a guard says so."""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from diagnose.child import Child
from diagnose.errors import Interrupted

TURN_S = 0.05


class Ended(Exception):
    """The phases end here; what was measured is kept, the reason stands in the manifest."""


class Loop:
    """One selector over the children. `look` is called after every turn and may raise Ended."""

    def __init__(self, look: Callable[[bool], None]) -> None:
        self._look = look
        self._selector = selectors.DefaultSelector()
        self._blocking = False
        self.interrupted = False

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGHUP end the run in order; more of them change nothing.

        Raises: Interrupted out of a blocking call.
        """

        def handle(number: int, _: FrameType | None) -> None:
            self.interrupted = True
            if self._blocking:
                raise Interrupted(f"interrupted by {signal.Signals(number).name}")

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A blocking call that a signal may break off."""
        self._blocking = True
        try:
            if self.interrupted:
                raise Ended
            yield
        finally:
            self._blocking = False

    def listen(
        self, child: Child, heard: Callable[[bytes], None], over: Callable[[], None]
    ) -> None:
        """Give each line of a child to `heard`; at the end of its output call `over`."""

        def turn() -> None:
            for line in child.lines():
                heard(line)
            if child.ended:
                self._selector.unregister(child)
                over()

        self._selector.register(child, selectors.EVENT_READ, turn)

    def forget(self, children: Iterable[Child]) -> None:
        """Listen to these no more."""
        known = {key.fileobj for key in self._selector.get_map().values()}
        for child in children:
            if child in known:
                self._selector.unregister(child)

    def pump_unguarded(self, until: float, done: Callable[[], bool]) -> None:
        """Listen until `done`, whatever the guards would say."""
        while not done() and (left := until - time.monotonic()) > 0:
            self._turn(left)

    def pump(
        self,
        until: float,
        done: Callable[[], bool] = lambda: False,
        *,
        during_load: bool = False,
    ) -> None:
        """Listen and look after the guards, one turn at the least.

        Raises: Ended when the run is over before its time.
        """
        while True:
            self._turn(max(0.0, until - time.monotonic()))
            self._look(during_load)
            if done() or time.monotonic() >= until:
                return

    def _turn(self, left: float) -> None:
        for key, _ in self._selector.select(min(left, TURN_S)):
            key.data()

    def close(self) -> None:
        """Nothing is listened to any more."""
        self._selector.close()
