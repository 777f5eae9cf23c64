"""TCP counters of the network namespace that a process is in."""

from __future__ import annotations

from diagnose.model.samples import NetworkSample
from diagnose.sampling.procfile import ProcFile

_FIELDS = {
    b"TcpExt": (b"ListenOverflows", b"ListenDrops", b"DelayedACKs"),
    b"Tcp": (b"RetransSegs", b"ActiveOpens", b"PassiveOpens", b"OutRsts"),
}


def parse_counters(data: bytes, table: bytes) -> dict[bytes, int]:
    """The counters of one table of /proc/net/netstat or snmp by name; empty when it is not there.

    A table is two lines that begin with its name: first the names, then the values.

    Raises: ValueError when a value is missing or is no number.
    Source: proc(5), /proc/net/snmp; the names are those of linux/snmp.h.
    """
    lines = [line for line in data.splitlines() if line.startswith(table + b": ")]
    if not lines:
        return {}
    if len(lines) != 2:
        raise ValueError(f"{table.decode()} has {len(lines)} lines")
    names, values = (line.split()[1:] for line in lines)
    return {name: int(value) for name, value in zip(names, values, strict=True)}


def parse_network(netstat: bytes, snmp: bytes) -> NetworkSample:
    """The counters that matter to a server, of both files; -1 for one that the kernel lacks.

    Raises: ValueError when a file is cut off.
    """
    extended = parse_counters(netstat, b"TcpExt")
    plain = parse_counters(snmp, b"Tcp")
    overflows, drops, delayed = (extended.get(name, -1) for name in _FIELDS[b"TcpExt"])
    retransmits, active, passive, resets = (plain.get(name, -1) for name in _FIELDS[b"Tcp"])
    return NetworkSample(
        listen_overflows=overflows,
        listen_drops=drops,
        retransmits=retransmits,
        delayed_acks=delayed,
        active_opens=active,
        passive_opens=passive,
        resets=resets,
    )


class NetworkReader:
    """The counters of the network namespace of a process; they go on when the process has ended.

    Raises: OSError when the process is gone.
    """

    def __init__(self, pid: int) -> None:
        self._netstat = ProcFile(f"/proc/{pid}/net/netstat", 1 << 13)
        try:
            self._snmp = ProcFile(f"/proc/{pid}/net/snmp", 1 << 12)
        except OSError:
            self._netstat.close()
            raise

    def read(self) -> NetworkSample:
        """The counters as they are now.

        Raises: OSError or ValueError when they cannot be read.
        """
        return parse_network(self._netstat.read(), self._snmp.read())

    def close(self) -> None:
        """Give the descriptors back."""
        self._netstat.close()
        self._snmp.close()
