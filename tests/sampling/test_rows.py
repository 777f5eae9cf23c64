"""Rows of samples.jsonl: what is written can be read, and so can what older versions wrote."""

from __future__ import annotations

import msgspec
import pytest

from diagnose.model.samples import (
    CgroupSample,
    HostSample,
    ListenerSample,
    NetworkSample,
    PressureSample,
    ProcessSample,
    Sample,
    SocketSample,
    ThreadSample,
)

HOST = HostSample((1.0, -1.0), 0.5, 1 << 40)
THREAD = ThreadSample(8, "w", "S", 1, 0.1, 0.2, 0.3, 0.4, 5, 6, "ep_poll")
PROCESS = ProcessSample(
    *(7, 1, "x", 0.1, 0.2, 4, 1, 2, 1, 5, 1, 3, 10, 11, 12, 13, 14, 15),
    (THREAD,),
    3,
    0.5,
    0.25,
    99.5,
)


@pytest.mark.parametrize(
    "sample",
    [
        Sample(1.0, HOST, ()),
        Sample(
            1.0,
            HOST,
            (PROCESS,),
            SocketSample(1, 2, 3, 4, 5, 6, 7, 8, 9),
            (5,),
            0.25,
            NetworkSample(1, 2, 3, 4, 5, 6, 7),
            PressureSample(1.0, 2.0, 3.0, 4.0, 5.0),
            CgroupSample(0.5, 1, 2, 3.0, 4, 5, 6, 7),
            9,
            True,
            ListenerSample(1, 2, 3, 4),
        ),
    ],
    ids=["least", "most"],
)
def test_there_and_back(sample: Sample) -> None:
    assert msgspec.json.decode(msgspec.json.encode(sample), type=Sample) == sample


def test_what_was_not_read_takes_no_room() -> None:
    line = msgspec.json.encode(Sample(1.0, HOST, ()))
    assert line == b'{"t":1.0,"host":[[1.0,-1.0],0.5,1099511627776],"processes":[]}'


def test_a_row_of_version_0_1() -> None:
    line = (
        b'{"t":2.5,"host":[[1.0],0.0,5],"processes":[[7,1,"x",0.1,0.2,4,1,2,1,5,1,3,10,11,12,13,14,'
        b'15,[[8,"w","S",1,0.1,0.2,0.3,0.4,-1,-1]]]],"sockets":[64,1,2,3,4,0,511],"gone":[],'
        b'"cpu_s":0.5}'
    )
    sample = msgspec.json.decode(line, type=Sample)
    (process,) = sample.processes
    assert (process.pss, process.children_user_s, process.peak_since) == (-1, 0.0, 0.0)
    assert process.threads[0].wait_channel == ""
    assert sample.sockets is not None
    assert (sample.sockets.unsent_sockets, sample.sockets.close_wait) == (-1, -1)
    assert (sample.network, sample.listeners, sample.forks) == (None, None, -1)
    assert not sample.forks_at_least
