"""Download the wheels of the sandbox for the image's platform, with the caller's own pip configuration.

Several `pip download` run beside each other, each with a slice of the lock files. torch comes from
wherever pip is configured to look; where that has no CPU build of it, from PyTorch's own index.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PYTHON = "311"
# Debian 12 has glibc 2.36. pip takes each platform tag literally, so all older ones are named too.
PLATFORMS = [
    *(f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)),
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
    "linux_x86_64",
]


def requirements(lock: Path) -> list[str]:
    """Return the pins of a lock file."""
    lines = (line.split("#")[0].strip() for line in lock.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def slices(pins: list[str], count: int) -> list[list[str]]:
    """Deal the pins out so that every slice has about as many."""
    return [part for part in (pins[start::count] for start in range(count)) if part]


def wheel_prefix(pin: str) -> str:
    """Return how the wheel of a pin starts, in the spelling that comparing needs."""
    name, version = pin.split("==")
    return f"{re.sub(r'[-_.]+', '_', name).lower()}-{version.lower()}-"


def missing(pins: list[str], dest: Path) -> list[str]:
    """Return the pins that have no wheel in dest yet."""
    have = []
    for wheel in dest.glob("*.whl"):
        name, rest = wheel.name.lower().split("-", 1)
        have.append(f"{re.sub(r'[-_.]+', '_', name)}-{rest}")
    return [pin for pin in pins if not any(wheel.startswith(wheel_prefix(pin)) for wheel in have)]


def download(pins: list[str], dest: Path, *options: str) -> str:
    """Download a slice; return pip's complaint, or nothing."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation=cp", f"--python-version={PYTHON}"]
    command += [f"--abi={abi}" for abi in (f"cp{PYTHON}", "abi3", "none")]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    command += [f"--dest={dest}", *options, *pins]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if result.returncode == 0 else result.stderr


def main() -> int:
    """Fetch what is missing; say what could not be had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dest", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("locks", type=Path, nargs="+")
    args = parser.parse_args()
    args.dest.mkdir(parents=True, exist_ok=True)

    pins = [pin for lock in args.locks for pin in requirements(lock)]
    torch = [pin for pin in missing(pins, args.dest) if pin.startswith("torch==")]
    others = [pin for pin in missing(pins, args.dest) if pin not in torch]
    with ThreadPoolExecutor(args.jobs + 1) as pool:
        jobs = [pool.submit(download, part, args.dest) for part in [torch, *slices(others, args.jobs)] if part]
        complaints = [job.result() for job in jobs]
    if missing(torch, args.dest):
        complaints.append(download(torch, args.dest, f"--extra-index-url={TORCH_CPU_INDEX}"))

    lacking = missing(pins, args.dest)
    if lacking:
        print("\n".join(complaint for complaint in complaints if complaint), file=sys.stderr)
        print(f"No wheel for {', '.join(lacking)}: see pip's complaints above.", file=sys.stderr)
        return 1
    print(f"{len(pins)} wheels in {args.dest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
