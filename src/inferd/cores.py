"""The cores that this process may use: those it may run on, as far as its cgroup pays for them."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

UNLIMITED = math.inf

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""The variables that tell numerical libraries, before they are imported, how many threads to
have."""


def cores() -> int:
    """How many threads of this process can compute at once."""
    if hasattr(os, "sched_getaffinity"):
        return paid_for(len(os.sched_getaffinity(0)), quota())
    return os.cpu_count() or 1


def paid_for(allowed: int, paid: float) -> int:
    """Of so many cores those that the quota pays for, rounded up as Go and Java do: what is left of
    a core would lie idle otherwise."""
    return max(1, min(allowed, math.ceil(paid))) if paid < UNLIMITED else allowed


def quota(root: Path = Path("/")) -> float:
    """The cores' worth of time that this process's control group may take, or one that it lies in:
    what Docker's ``--cpus`` and Kubernetes' ``limits.cpu`` set."""
    groups = root / "sys/fs/cgroup"
    limits = [UNLIMITED]
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            limits += [_second_version(folder) for folder in _upwards(groups, group)]
        elif "cpu" in controllers.split(","):
            limits += [_first_version(folder) for folder in _upwards(groups / "cpu", group)]
    return min(limits)


def _upwards(top: Path, group: str) -> Iterator[Path]:
    """The folders of a group and of those that it lies in.

    A container often sees the name that its group has outside, and its own group as the top one.
    """
    parts = [part for part in PurePosixPath(group).parts if part not in ("/", "..")]
    for length in range(len(parts), -1, -1):
        yield top.joinpath(*parts[:length])


def _second_version(folder: Path) -> float:
    words = _text(folder / "cpu.max").split()  # "max 100000", or "150000 100000"
    return _ratio(*words) if len(words) == 2 else UNLIMITED


def _first_version(folder: Path) -> float:
    return _ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _ratio(paid: str, period: str) -> float:
    """What is no positive number, such as "max" or -1, sets no limit."""
    paid, period = paid.strip(), period.strip()
    if not (paid.isdecimal() and period.isdecimal() and int(paid) and int(period)):
        return UNLIMITED
    return int(paid) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):  # no such file where there are no control groups
        return ""
