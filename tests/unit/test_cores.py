"""inferd.cores: what the kernel lets a process compute with, read from made-up trees of files."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.cores import UNLIMITED, cores, paid_for, quota

DOCKER = "docker/abc"


def _root(folder: Path, membership: str, files: dict[str, str]) -> Path:
    """A machine that says so."""
    for name, text in {"proc/self/cgroup": membership, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _second(group: str, text: str) -> dict[str, str]:
    return {f"sys/fs/cgroup/{group}/cpu.max": text}


def _first(group: str, paid: str, period: str = "100000\n") -> dict[str, str]:
    folder = f"sys/fs/cgroup/cpu/{group}"
    return {f"{folder}/cpu.cfs_quota_us": paid, f"{folder}/cpu.cfs_period_us": period}


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", _second(".", "150000 100000\n"), 1.5),
        ("0::/\n", _second(".", "max 100000\n"), UNLIMITED),
        (f"0::/{DOCKER}\n", _second(DOCKER, "50000 100000\n"), 0.5),
        (f"0::/{DOCKER}\n", _second(".", "50000 100000\n"), 0.5),
        (
            f"0::/{DOCKER}\n",
            _second(DOCKER, "400000 100000\n") | _second("docker", "200000 100000\n"),
            2.0,
        ),
        ("0::/../../outside\n", _second(".", "300000 100000\n"), 3.0),
        ("3:cpu,cpuacct:/\n", _first(".", "250000\n"), 2.5),
        (f"3:cpu,cpuacct:/{DOCKER}\n2:memory:/\n", _first(DOCKER, "100000\n", "50000\n"), 2.0),
        (f"3:cpu:/{DOCKER}\n0::/\n", _first(".", "100000\n"), 1.0),
        ("3:cpu:/\n", _first(".", "-1\n"), UNLIMITED),
        ("3:cpuset:/\n", _first(".", "100000\n"), UNLIMITED),
        ("0::/\n", {}, UNLIMITED),
        ("", {}, UNLIMITED),
        ("0::/\n", _second(".", "what is this\n"), UNLIMITED),
        ("0::/\n", _second(".", "100000 0\n"), UNLIMITED),
    ],
)
def test_the_quota_is_read_as_the_kernel_writes_it(
    tmp_path: Path, membership: str, files: dict[str, str], expected: float
) -> None:
    """Of either version, of the group itself or one above it, the smallest; and none is none."""
    assert quota(_root(tmp_path, membership, files)) == expected


def test_a_machine_without_control_groups_sets_no_limit(tmp_path: Path) -> None:
    """Nothing to read is no fault."""
    assert quota(tmp_path) == UNLIMITED


@given(st.integers(1, 256), st.just(UNLIMITED) | st.floats(0.001, 1000))
def test_a_part_of_a_core_counts_as_one(allowed: int, paid: float) -> None:
    """At least one core, never more than are allowed, and no whole one less than was paid for."""
    count = paid_for(allowed, paid)
    assert 1 <= count <= allowed
    assert count == allowed or paid <= count < paid + 1


def test_this_process_has_a_core_at_least() -> None:
    """Whatever machine this is."""
    assert 1 <= cores() <= (os.cpu_count() or 1)
