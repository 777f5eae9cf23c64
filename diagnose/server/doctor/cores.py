"""Cores: how many there are, how fast they run, and who else uses them."""

from __future__ import annotations

from diagnose.server.doctor.check import Check, Outcome, untold
from diagnose.server.doctor.facts import Facts
from diagnose.server.host import SPLIT_FROM

# Above a tenth of a core of other programs, figures moved by more than runs differ by themselves.
FOREIGN_WARN = 0.1
# Half a core, or a tenth of a large machine: the server or the load generator goes without it.
FOREIGN_BAD = 0.5
FOREIGN_BAD_SHARE = 0.1
# Shares of the host's cores. A twentieth of the time is what a p99 is made of five times over.
STEAL_WARN = 0.01
STEAL_BAD = 0.05
NOT_WATCHED = "not watched"
WATCH = "the host was not watched, or does not tell"
# They cost a system call or a slow device access a reading.
# Source: Linux, timers/timekeeping.rst and vdso(7).
SLOW_CLOCKS = {"hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies", "hyperv_clocksource_msr"}
FULL_SPEED = "performance"
VIRTUAL_MACHINES = (
    *("qemu", "kvm", "vmware", "virtualbox", "xen", "bochs", "parallels", "openstack"),
    *("virtual machine", "google compute engine", "amazon ec2", "droplet", "bhyve"),
)


def check_cores(facts: Facts) -> Check:
    """Enough of them to keep load and server apart."""
    name, cpu = "cores", facts.cpu
    limited = f" of {cpu.online}" if cpu.online > cpu.allowed else ""
    value = f"{cpu.allowed}{limited}, {cpu.mode}"
    if cpu.mode == "split":
        value += f": server {cpu.server}, load {cpu.load}"
    if cpu.allowed >= SPLIT_FROM:
        return Check(name, Outcome.OK, value, "server and load generator have cores of their own")
    if cpu.allowed == 1:
        why = (
            "server and load generator share one core: a slow server and a slow load generator "
            "look the same"
        )
        return Check(name, Outcome.BAD, value, why)
    why = (
        f"below {SPLIT_FROM} cores server and load generator share them: throughput is less than "
        "the server could give, so compare only with runs on this machine"
    )
    return Check(name, Outcome.WARN, value, why)


def check_quota(facts: Facts) -> Check:
    """A CPU quota stops every thread for the rest of a period (100 ms) when it is used up."""
    name, cpu = "CPU quota", facts.cpu
    if cpu.quota_cores is None:
        return Check(name, Outcome.OK, "none", "no control group limits the cores")
    value = f"{cpu.quota_cores:.2f} of {cpu.allowed} cores"
    if cpu.quota_cores >= cpu.allowed:
        return Check(name, Outcome.OK, value, "the quota is not below the number of cores")
    no_limit = "max" if cpu.quota_file.endswith("cpu.max") else "-1"
    return Check(
        name,
        Outcome.BAD,
        value,
        "when it is used up the kernel stops server and load generator for up to 100 ms: that "
        "shows as latency of the server. Give whole cores instead (`--cpuset-cpus`)",
        f"echo {no_limit} > {cpu.quota_file}",
    )


def check_other_load(facts: Facts) -> Check:
    """Cores that programs other than ours used while we slept."""
    name, seen = "other load", facts.watched
    if seen is None:
        return Check(name, Outcome.UNKNOWN, NOT_WATCHED, WATCH)
    names = ", ".join(f"{busy.name} ({busy.pid}) {busy.cores:.2f}" for busy in seen.busiest)
    value = f"{seen.foreign:.2f} cores"
    if seen.foreign <= FOREIGN_WARN:
        why = f"at most {FOREIGN_WARN} is within what runs differ by"
        return Check(name, Outcome.OK, value, why)
    unseen = seen.foreign - sum(busy.cores for busy in seen.busiest)
    if unseen > FOREIGN_WARN:
        names += ", and " if names else ""
        names += f"{unseen:.2f} of others, short-lived or not to be seen from here"
    bad = seen.foreign > max(FOREIGN_BAD, FOREIGN_BAD_SHARE * facts.cpu.online)
    return Check(
        name,
        Outcome.BAD if bad else Outcome.WARN,
        f"{value}: {names}",
        "other programs take cores from the server or the load generator; end them or wait",
        # A look, since what may be ended is not ours to say.
        "top -o %CPU",
    )


def check_steal(facts: Facts) -> Check:
    """Time that the virtual machine wanted to run and the real one ran something else."""
    name, seen = "steal time", facts.watched
    if seen is None:
        return Check(name, Outcome.UNKNOWN, NOT_WATCHED, WATCH)
    share = seen.stolen / max(1, facts.cpu.online)
    value = f"{seen.stolen:.2f} cores"
    if share <= STEAL_WARN:
        why = "a busy machine below may show only under load, or not at all"
        return Check(name, Outcome.OK, value, why if facts.cpu.hypervisor else "nothing was stolen")
    return Check(
        name,
        Outcome.BAD if share > STEAL_BAD else Outcome.WARN,
        value,
        "the machine below gave these cores to another guest: figures depend on its neighbors. "
        "Use a dedicated instance, or repeat at another time",
    )


def check_virtual_machine(facts: Facts) -> Check:
    """In a virtual machine speed may change without a trace."""
    name, cpu = "virtual machine", facts.cpu
    product = cpu.machine.lower()
    known = any(maker in product for maker in VIRTUAL_MACHINES)
    if cpu.hypervisor is None and not known:
        return untold(name, "whether it is one")
    # On x86 the flag decides: a rented machine without it is a whole one.
    if cpu.hypervisor is False:
        return Check(name, Outcome.OK, "no", "the CPU has no hypervisor flag")
    return Check(
        name,
        Outcome.WARN,
        f"yes{', ' + cpu.machine if cpu.machine else ''}",
        "speed may change from run to run without a trace, and there may be no hardware counters: "
        "trust ratios of runs that were interleaved, not single figures",
    )


def check_governor(facts: Facts) -> Check:
    """A core that starts slow makes the first seconds of a run slow."""
    name, governors = "CPU governor", facts.cpu.governors
    if not governors:
        return untold(name, "how it sets the clock of its cores; a virtual machine cannot")
    value = ", ".join(governors)
    if set(governors) == {FULL_SPEED}:
        return Check(name, Outcome.OK, value, "cores do not slow down when idle")
    return Check(
        name,
        Outcome.WARN,
        value,
        "the clock of a core follows its load: a server that is idle half of the time runs slower "
        "than one that is busy",
        f"echo {FULL_SPEED} | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    )


def check_boost(facts: Facts) -> Check:
    """Boost clocks depend on temperature and on how many cores are busy."""
    name, cpu = "CPU boost", facts.cpu
    if cpu.boost is None:
        return untold(name, "whether its cores may run above their nominal clock")
    if not cpu.boost:
        return Check(name, Outcome.OK, "off", "the clock does not depend on how many cores work")
    return Check(
        name,
        Outcome.WARN,
        "on",
        "the clock depends on temperature and on how many cores work: more load, slower cores",
        f"echo {1 if cpu.boost_file.endswith('no_turbo') else 0} > {cpu.boost_file}",
    )


def check_clock(facts: Facts) -> Check:
    """The load generator reads the clock for every request."""
    name, cpu = "clock", facts.cpu
    if cpu.clocksource is None:
        return untold(name, "its clock source")
    if cpu.clocksource not in SLOW_CLOCKS:
        return Check(name, Outcome.OK, cpu.clocksource, "read without a system call")
    better = [clock for clock in cpu.clocksources if clock not in SLOW_CLOCKS]
    folder = "/sys/devices/system/clocksource/clocksource0"
    return Check(
        name,
        Outcome.WARN,
        cpu.clocksource,
        "each reading of the clock costs a microsecond or more, at every request",
        f"echo {better[0]} > {folder}/current_clocksource" if better else "",
    )


CHECKS = (
    check_cores,
    check_quota,
    check_other_load,
    check_steal,
    check_virtual_machine,
    check_governor,
    check_boost,
    check_clock,
)
