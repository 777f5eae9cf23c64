"""A made-up /proc in memory: files by their path, and what was read and is still open of them."""

from __future__ import annotations


def stat(state: str = "S", name: str = "worker", **fields: int) -> bytes:
    """A stat file with these fields, by their names in proc(5); others are zero."""
    known = {"minflt": 7, "majflt": 9, "utime": 11, "stime": 12, "cutime": 13, "cstime": 14}
    known |= {"ppid": 1, "num_threads": 17, "rss": 21, "processor": 36}
    row = ["0"] * 49
    row[0] = state
    for field, value in fields.items():
        row[known[field]] = str(value)
    return f"7 ({name}) {' '.join(row)}\n".encode()


STATUS = b"voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t34\n"


class FakeProc:
    """Files by their path, and what was read and is still open of them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.reads: list[str] = []
        self.opened: list[str] = []

    def thread(self, tid: int, sched: bytes, state: str = "S", wchan: bytes = b"futex") -> None:
        """A thread of process 7."""
        base = f"/proc/7/task/{tid}"
        self.files |= {
            f"{base}/schedstat": sched,
            f"{base}/stat": stat(state, utime=200, processor=1),
            f"{base}/status": STATUS,
            f"{base}/wchan": wchan,
        }

    def kill(self, tid: int) -> None:
        """The thread is gone, its files cannot be read."""
        for path in [path for path in self.files if f"/task/{tid}/" in path]:
            del self.files[path]

    def taken(self) -> list[str]:
        """Names of the files that were read since the last call."""
        names = [path.rsplit("/", 1)[1] for path in self.reads]
        self.reads.clear()
        return names

    def open(self, path: str, size: int = 0) -> FakeFile:
        """In place of ProcFile."""
        if path not in self.files:
            raise FileNotFoundError(path)
        self.opened.append(path)
        return FakeFile(self, path)

    def listdir(self, folder: str) -> list[str]:
        """In place of os.listdir."""
        self.reads.append(f"{folder}/listdir")
        return sorted({path.split("/")[4] for path in self.files if path.startswith(folder)})


class FakeFile:
    """In place of a ProcFile."""

    def __init__(self, proc: FakeProc, path: str) -> None:
        self.proc, self.path = proc, path

    def read(self) -> bytes:
        """The content, or ESRCH."""
        self.proc.reads.append(self.path)
        if self.path not in self.proc.files:
            raise ProcessLookupError(self.path)
        return self.proc.files[self.path]

    def close(self) -> None:
        """Once only."""
        self.proc.opened.remove(self.path)
