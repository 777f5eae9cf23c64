"""What is read a few times a second: TCP counters, pressure, cgroups, memory of the host."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence

import msgspec

from diagnose.model.samples import CgroupSample, NetworkSample, PressureSample
from diagnose.sampling.cgroup import CgroupReader
from diagnose.sampling.memory import parse_available
from diagnose.sampling.network import NetworkReader
from diagnose.sampling.pressure import PressureReader
from diagnose.sampling.procfile import ProcFile
from diagnose.sampling.schedule import Lowered, Schedule

NETWORK_S = 0.5
SLOW_S = 1.0
FIND_CGROUP_S = 5.0
AVAILABLE_S = 0.5
# Of one core, each: at these rates they cost a tenth of it.
SHARE = 0.001


class Rare(msgspec.Struct, frozen=True):
    """What was due and could be read."""

    network: NetworkSample | None = None
    pressure: PressureSample | None = None
    cgroup: CgroupSample | None = None


NOTHING = Rare()


class RareReader:
    """Reads of the host, and of the namespaces and groups of the first process of the server."""

    def __init__(self) -> None:
        self._memory = ProcFile("/proc/meminfo")
        self._pressure: PressureReader | None = None
        with contextlib.suppress(OSError, ValueError):
            self._pressure = PressureReader()
        self._pid = -1
        self._network: NetworkReader | None = None
        self._cgroup: CgroupReader | None = None
        self._available = Schedule("memory of the host", AVAILABLE_S, SHARE)
        self._counters = Schedule("TCP counters", NETWORK_S, SHARE)
        self._slow = Schedule("pressure and cgroups", SLOW_S, SHARE)
        self._find = Schedule("the cgroup of the server", FIND_CGROUP_S, SHARE)
        self._schedules = (self._available, self._counters, self._slow, self._find)
        # MemAvailable in bytes, as it was read last.
        self.available = -1
        # CPU seconds of the last read.
        self.costly_s = 0.0
        self.due_at = 0.0

    def meet(self, pids: Sequence[int]) -> bool:
        """Take the first process of these from now on; False when it was known already."""
        if not pids or self._pid in pids:
            return False
        self._pid = pids[0]
        if self._cgroup is not None:
            self._cgroup.close()
        self._cgroup = CgroupReader(self._pid)
        self._find.now()
        if self._network is None:
            # The counters of a namespace can be read on when the process has ended.
            with contextlib.suppress(OSError):
                self._network = NetworkReader(self._pid)
        return True

    def in_another_network(self) -> bool:
        """The process met last is in another network namespace than this one."""
        try:
            return os.readlink(f"/proc/{self._pid}/ns/net") != os.readlink("/proc/self/ns/net")
        except OSError:
            return False

    def read(self, now: float) -> Rare:
        """What is due now."""
        self.costly_s = 0.0
        network = pressure = cgroup = None
        if self._available.due(now):
            began = time.thread_time()
            with contextlib.suppress(OSError, ValueError):
                self.available = parse_available(self._memory.read())
            self._pay(self._available, now, began)
        if self._network is not None and self._counters.due(now):
            began = time.thread_time()
            with contextlib.suppress(OSError, ValueError):
                network = self._network.read()
            self._pay(self._counters, now, began)
        if self._cgroup is not None and self._find.due(now):
            began = time.thread_time()
            with contextlib.suppress(OSError):
                self._cgroup.find()
            self._pay(self._find, now, began)
        if self._slow.due(now):
            began = time.thread_time()
            if self._pressure is not None:
                with contextlib.suppress(OSError, ValueError):
                    pressure = self._pressure.read()
            if self._cgroup is not None:
                cgroup = self._cgroup.read()
            self._pay(self._slow, now, began)
        self.due_at = min([schedule.due_at for schedule in self._schedules])
        return Rare(network, pressure, cgroup)

    def _pay(self, schedule: Schedule, now: float, began: float) -> None:
        cost = time.thread_time() - began
        schedule.done(now, cost)
        self.costly_s += cost

    def mark(self) -> None:
        """A phase begins: the counters are due."""
        self._counters.now()
        self._slow.now()
        self.due_at = 0.0

    def lowered(self) -> list[Lowered | None]:
        """What was read less often than it should have been."""
        return [schedule.lowered() for schedule in self._schedules]

    def close(self) -> None:
        """Give all descriptors back."""
        for reader in (self._memory, self._pressure, self._network, self._cgroup):
            if reader is not None:
                reader.close()
