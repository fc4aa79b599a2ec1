# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a lock file of vLLM and Ray for one architecture and one Python: every package, each wheel with its hash.

Needs uv and Python 3.11 or newer with the package "packaging", and a package index that uv is configured for. Only
metadata is fetched. The lock file has no addresses, so that a site's mirror can stand for the index:

  python3 make_lock.py --vllm 0.33.0 --ray 2.56.1 --machine aarch64 --python 3.12 --output locks
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

# glibc of Ubuntu 22.04; what later ones have runs there, too.
GLIBC = 35
OLDEST_GLIBC = 5


def platforms(machine: str) -> list[str]:
    """The platforms of wheels that run on such a host."""
    names = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, OLDEST_GLIBC - 1, -1)]
    return [*names, f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"manylinux1_{machine}", f"linux_{machine}"]


def accepted_tags(machine: str, python: str) -> set[Tag]:
    """All that this Python takes."""
    major, minor = (int(part) for part in python.split("."))
    names = platforms(machine)
    tags = [*cpython_tags((major, minor), platforms=names)]
    return {*tags, *compatible_tags((major, minor), f"cp{major}{minor}", names)}


def fitting(wheels: list[dict[str, Any]], tags: set[Tag]) -> Iterator[str]:
    """The hashes of the wheels that can be installed."""
    for wheel in wheels:
        name = str(wheel.get("name") or str(wheel.get("url") or wheel.get("path") or "").rpartition("/")[2])
        try:
            _name, _version, _build, own = parse_wheel_filename(name.replace("%2B", "+"))
        except InvalidWheelFilename:
            continue
        if own & tags:
            yield wheel["hashes"]["sha256"]


def resolve(args: argparse.Namespace) -> dict[str, Any]:
    """What uv makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, override, lock = (Path(folder) / name for name in ("wanted.txt", "override.txt", "pylock.toml"))
        wanted.write_text(f"vllm=={args.vllm}\nray[default]=={args.ray}\n" + "".join(f"{item}\n" for item in args.also))
        override.write_text("".join(f"{item}\n" for item in args.override))
        command = ["uv", "pip", "compile", "--quiet", "--no-header", "--format=pylock.toml", "--only-binary=:all:"]
        command += [f"--python-version={args.python}", f"--python-platform={args.machine}-manylinux_2_{GLIBC}"]
        done = subprocess.run(
            [*command, f"--override={override}", f"--output-file={lock}", str(wanted)],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(done.stderr)
        return tomllib.loads(lock.read_text(encoding="utf-8"))


def lines(resolved: dict[str, Any], tags: set[Tag]) -> Iterator[str]:
    """The lock file; a package without a wheel that fits is an error, since nothing is built on a host."""
    for package in resolved["packages"]:
        hashes = sorted(set(fitting(package.get("wheels", []), tags)))
        if not hashes:
            sys.exit(f"{package['name']} {package['version']} has no wheel for this Python and architecture.")
        yield f"{package['name']}=={package['version']} \\\n    --hash=sha256:" + " \\\n    --hash=sha256:".join(hashes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", required=True)
    parser.add_argument("--ray", default="2.56.1")
    parser.add_argument("--machine", choices=["x86_64", "aarch64"], required=True)
    parser.add_argument("--python", default="3.12")
    parser.add_argument("--also", action="append", default=[], help="one more requirement")
    parser.add_argument("--override", action="append", default=[], help="a requirement that wins over vLLM's own")
    parser.add_argument("--output", type=Path, required=True, help="directory of the lock files")
    args = parser.parse_args()
    body = list(lines(resolve(args), accepted_tags(args.machine, args.python)))
    head = [f"# vLLM {args.vllm} and Ray {args.ray} for Python {args.python} on {args.machine}, made by make_lock.py."]
    head += [f"# In the place of what vLLM asks for: {item}" for item in args.override]
    name = f"vllm-{args.vllm}-{args.machine}-py{args.python.replace('.', '')}.txt"
    (args.output / name).write_text("\n".join([*head, *body]) + "\n", encoding="utf-8")
    print(f"{args.output / name}: {len(body)} packages")


if __name__ == "__main__":
    main()
