"""What may be looked at: profilers, sockets and threads."""

from __future__ import annotations

from diagnose.server.doctor.check import Check, Outcome, untold
from diagnose.server.doctor.facts import Facts

CAP_SYS_PTRACE = 19
CAP_SYS_ADMIN = 21
CAP_PERFMON = 38
# At 2, the kernel's default, users may not see the kernel; Debian's 3 and Ubuntu's 4 refuse all.
# Source: Linux, admin-guide/sysctl/kernel.rst, perf_event_paranoid.
PARANOID_REFUSES = 2
# Source: Linux, admin-guide/LSM/Yama.rst: 3 is `no attach`, and `cannot be changed`.
YAMA_NO_ATTACH = 3
PACKAGES = {"perf": "linux-perf", "node": "nodejs", "wrk": "wrk", "h2load": "nghttp2-client"}


def check_perf(facts: Facts) -> Check:
    """Profiles of native code."""
    name, rights = "perf", facts.rights
    trial, paranoid = rights.trials.perf, rights.perf_paranoid
    setting = "" if paranoid is None else f", perf_event_paranoid {paranoid}"
    if trial.works:
        return Check(name, Outcome.OK, f"attaches{setting}", "native code can be profiled")
    if "perf" in rights.tools and rights.tools["perf"] is None:
        return Check(
            name,
            Outcome.WARN,
            "not on PATH",
            "native code cannot be profiled: a run says that it is slow and not where",
            f"apt-get install {PACKAGES['perf']}",
        )
    if trial.works is None:
        return untold(name, f"whether perf may attach ({trial.said or 'not tried'})")
    allowed = rights.may(CAP_PERFMON) or rights.may(CAP_SYS_ADMIN)
    if paranoid is not None and paranoid >= PARANOID_REFUSES and not allowed:
        remedy = "sysctl -w kernel.perf_event_paranoid=1"
    else:
        remedy = ""
    return Check(
        name,
        Outcome.WARN,
        f"refused{setting}: {trial.said}",
        "native code cannot be profiled; in a container the default filter of system calls "
        "refuses perf too (`--cap-add PERFMON --security-opt seccomp=unconfined`)",
        remedy,
    )


def check_ptrace(facts: Facts) -> Check:
    """Profiles of Python: py-spy reads the memory of another process."""
    name, rights = "ptrace", facts.rights
    trial, scope = rights.trials.py_spy, rights.ptrace_scope
    setting = "no Yama" if scope is None else f"ptrace_scope {scope}"
    if trial.works:
        return Check(name, Outcome.OK, f"py-spy attaches, {setting}", "Python can be profiled")
    if trial.works is None:
        return untold(name, f"whether py-spy may attach ({trial.said or 'not tried'})")
    why = "Python code cannot be profiled, nor anything else that is read from outside"
    remedy = ""
    if scope == YAMA_NO_ATTACH:
        why += "; ptrace_scope 3 stays until the host is started again"
    elif scope:
        remedy = "sysctl -w kernel.yama.ptrace_scope=0"
    elif not rights.may(CAP_SYS_PTRACE):
        why += "; in a container it takes `--cap-add SYS_PTRACE`"
    return Check(name, Outcome.WARN, f"py-spy refused, {setting}: {trial.said}", why, remedy)


def check_schedstat(facts: Facts) -> Check:
    """Run-queue wait tells a starved thread from an idle one."""
    name = "schedstat"
    if facts.rights.schedstat:
        return Check(name, Outcome.OK, "readable", "the run-queue wait of threads is known")
    return Check(
        name,
        Outcome.BAD,
        "not readable",
        "load workers and sampler read /proc/PID/schedstat: no run is possible; the kernel was "
        "built without CONFIG_SCHED_INFO, or /proc is not the kernel's own",
    )


def check_timestamps(facts: Facts) -> Check:
    """The kernel's time of receipt shows when the load generator is the limit."""
    name, trial = "time stamps", facts.rights.trials.timestamps
    if trial.works is None:
        return untold(name, "whether received packets are stamped")
    if trial.works:
        return Check(name, Outcome.OK, "SO_TIMESTAMPNS works", "the load generator's lag is known")
    return Check(
        name,
        Outcome.WARN,
        f"SO_TIMESTAMPNS: {trial.said}",
        "the best sign that the load generator is the limit is missing (client_saturated)",
    )


def check_sock_diag(facts: Facts) -> Check:
    """Queues of the server's sockets: accept queue, bytes that are not read."""
    name, trial = "sock_diag", facts.rights.trials.sock_diag
    if trial.works is None:
        return untold(name, "whether sock_diag answers")
    if trial.works:
        return Check(name, Outcome.OK, "answers", "the queues of sockets are known")
    return Check(
        name,
        Outcome.WARN,
        f"refused: {trial.said}",
        "accept queues and unread bytes are not known: rules that need them say unknown",
        "modprobe -a inet_diag tcp_diag",
    )


def check_tools(facts: Facts) -> Check:
    """Programs that a run can use and does not need."""
    name, tools = "optional programs", facts.rights.tools
    if not tools:
        return untold(name, "which programs are installed")
    there = [tool for tool, path in tools.items() if path]
    missing = [tool for tool, path in tools.items() if not path]
    value = ", ".join(there) or "none"
    if missing:
        value += f"; not on PATH: {', '.join(missing)}"
    packages = [PACKAGES[tool] for tool in missing if tool in PACKAGES]
    return Check(
        name,
        Outcome.OK,
        value,
        "a run needs none of them; other load generators check its figures",
        f"apt-get install {' '.join(packages)}" if packages else "",
    )


CHECKS = (
    check_perf,
    check_ptrace,
    check_schedstat,
    check_timestamps,
    check_sock_diag,
    check_tools,
)
