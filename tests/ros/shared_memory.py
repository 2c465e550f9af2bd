"""Removes files of DDS from shared memory: segments of killed processes, and semaphores."""

import os
import pathlib

FOLDER = pathlib.Path("/dev/shm")


def mapped(pid):
    """Return the DDS files that a process has mapped."""
    try:
        words = pathlib.Path(f"/proc/{pid}/maps").read_text().split()
    except OSError:  # the process has ended, or belongs to another user
        return set()
    return {pathlib.Path(word) for word in words if word.startswith(f"{FOLDER}/fastrtps")}


def sweep(domain, killed):
    """Remove the unused ports of a domain, and unused files that the killed processes had mapped.
    """
    # The ports of a domain have the same numbers as its UDP ports.
    first = 7400 + 250 * domain
    ports = {FOLDER / f"fastrtps_port{number}" for number in range(first, first + 250)}
    others = [process.name for process in pathlib.Path("/proc").glob("[0-9]*") if process.name != str(os.getpid())]
    used = set().union(*map(mapped, others))
    for path in (ports | killed) - used:
        for leftover in (path, path.with_name(f"{path.name}_el"), path.with_name(f"sem.{path.name}_mutex")):
            leftover.unlink(missing_ok=True)
