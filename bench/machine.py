"""The facts of the machine and the packages that a figure belongs to."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "inferd",
    "onnxruntime",
    "numpy",
    "uvloop",
    "httptools",
    "msgspec",
    "orjson",
    "fastapi",
    "pydantic",
    "uvicorn",
    "hpack",
    "protobuf",
    "grpcio",
    "scikit-learn",
    "skl2onnx",
)
ABSENT = "not installed"
MACHINE = ("CPU", "Cores", "Kernel", "Python", "wrk")


def facts() -> dict[str, str]:
    """Names and values in the order in which they are shown."""
    machine = {
        "CPU": cpu_model(Path("/proc/cpuinfo").read_text()) or platform.processor() or "unknown",
        "Cores": str(os.cpu_count()),
        "Kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "wrk": wrk_version(),
        "h2load": h2load_version(),
    }
    return machine | {package: package_version(package) for package in PACKAGES}


def describe() -> str:
    """This machine in a line."""
    return in_a_line(facts())


def in_a_line(found: dict[str, str]) -> str:
    """Those that belong to the machine and not to a server."""
    return ", ".join(f"{name} {found[name]}" for name in MACHINE if name in found)


def cpu_model(cpuinfo: str) -> str | None:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return None


def package_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT


def wrk_version() -> str:
    if shutil.which("wrk") is None:
        return ABSENT
    # wrk prints its version above its usage and ends with 1.
    done = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return words[1] if len(words) > 1 else "unknown"


def h2load_version() -> str:
    if shutil.which("h2load") is None:
        return ABSENT
    # "h2load nghttp2/1.52.0"
    done = subprocess.run(["h2load", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().rpartition("/")[2] or "unknown"
