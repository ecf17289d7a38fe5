"""Runs a program and tells what it cost: wall and CPU time and memory of everything it started.

The program gets a session of its own, and whatever belongs to that session counts: a JVM that a Python started, too.
CPU time of a process is sampled until it is gone, so at most one interval of each process is missed; where the kernel's
own account of the awaited processes says more, that is taken.
"""

import os
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
EVERY = 0.05  # seconds between two samples
LOOK = 0.25  # seconds between two looks for new processes

running = set()


class Failed(Exception):
    """A program ended with an error; the message holds the end of what it said."""


def stat(pid):
    """Session, user and system CPU seconds of a process, or None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else (int(fields[3]), int(fields[11]) / TICK, int(fields[12]) / TICK)


def cpu_of(pid):
    """CPU seconds that a running process has used so far."""
    seen = stat(pid)
    if seen is None:
        raise Failed(f"process {pid} is gone")
    return seen[1] + seen[2]


def members(session):
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            seen = stat(name)
            if seen and seen[0] == session:
                found.add(name)
    return found


def resident(pid):
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def high_water(pid):
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def start(command, log, **more):
    """Starts a program in a session of its own; what it says goes to the file `log`."""
    with open(log, "wb") as out:
        options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out} | more
        process = subprocess.Popen(command, start_new_session=True, **options)
    running.add(process)
    return process


def stop(process, kind=signal.SIGTERM, patience=20):
    """Stops a program and all of its session."""
    try:
        os.killpg(process.pid, kind)
    except ProcessLookupError:
        pass
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        pass
    for pid in members(process.pid):
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()
    running.discard(process)


def stop_all():
    for process in list(running):
        stop(process, patience=5)


def tail(log):
    with open(log, "rb") as file:
        return file.read().decode(errors="replace")[-2000:]


def measured(command, log, limit=3600, until=None, **more):
    """Runs to the end. `until` is asked every few milliseconds until it says yes; when it did is in `first`."""
    before = os.times()
    began = time.monotonic()
    process = start(command, log, **more)
    cpu, peaks, peak, first = {}, {}, 0, None
    pids, looked, sampled = {str(process.pid)}, began, 0.0
    while True:
        now = time.monotonic()
        if now - looked >= LOOK:
            pids, looked = members(process.pid), now
        if now - sampled >= EVERY:
            sampled, total = now, 0
            for pid in pids:
                seen = stat(pid)
                if seen and seen[0] in (process.pid, 0) or seen and pid == str(process.pid):
                    cpu[pid] = seen[1:]
                    peaks[pid] = high_water(pid) or peaks.get(pid, 0)
                    total += resident(pid)
            peak = max(peak, total)
        if until and first is None and until():
            first = time.monotonic() - began
        if process.poll() is not None and not members(process.pid):
            break
        if now - began > limit:
            stop(process)
            raise Failed(f"{command[0]} did not end within {limit} s: {tail(log)}")
        time.sleep(0.003 if until and first is None else 0.02)
    wall = time.monotonic() - began
    running.discard(process)
    if process.returncode != 0:
        raise Failed(f"{' '.join(map(str, command[:4]))} ended with {process.returncode}: {tail(log)}")
    after = os.times()
    awaited = (after.children_user - before.children_user, after.children_system - before.children_system)
    sampled_cpu = (sum(user for user, _ in cpu.values()), sum(system for _, system in cpu.values()))
    user, system = max(awaited, sampled_cpu, key=sum)
    return {
        "wall": wall,
        "cpu": user + system,
        "user": user,
        "system": system,
        "peak": max(peak, max(peaks.values(), default=0)),
        "first": first,
    }
