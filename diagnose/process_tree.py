"""The processes of the server: a root and all that descends from it."""

from __future__ import annotations

import os


def descendants(root: int) -> list[int]:
    """All living descendants of a process, parents before children, without the process itself.

    A process that ends meanwhile is left out.
    Source: proc(5), /proc/PID/task/TID/children.
    """
    found: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        children = children_of(pid)
        found += children
        waiting += children
    return found


def children_of(pid: int) -> list[int]:
    """The children that any thread of a process has forked; none when it is gone."""
    children: list[int] = []
    for task in tasks(pid):
        try:
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                children += [int(child) for child in file.read().split()]
        except OSError:
            continue
    return children


def tasks(pid: int) -> list[int]:
    """The threads of a process; none when it is gone."""
    try:
        return [int(task) for task in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []
