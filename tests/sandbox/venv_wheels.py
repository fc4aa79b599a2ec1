# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock file for the runtime venv in the sandbox: the packages of the engine's image, from the sandbox's own index.

What the image gets as bare directories, vLLM's metadata and the platform plugin, become two wheels beside it.

  python3 tests/sandbox/venv_wheels.py --index http://10.89.77.3:8080/simple --output DIRECTORY
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import urllib.request
import zipfile
from pathlib import Path

IMAGES = Path(__file__).resolve().parent / "images"
# What runs the installation; the environment has no use for them.
TOOLS = ("uv", "pip")
# Any time will do, as long as the same sources make the same bytes.
STAMP = (2026, 1, 1, 0, 0, 0)
WHEEL = "Wheel-Version: 1.0\nGenerator: llmserve-sandbox\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def pins() -> list[str]:
    """What the image installs."""
    lines = (line.split("#")[0].strip() for line in (IMAGES / "wheels/image.txt").read_text().splitlines())
    return [line for line in lines if line and line.partition("==")[0] not in TOOLS]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def hashes(index: str, pin: str) -> list[str]:
    """The SHA-256 of every wheel of this version that the index has."""
    name, _equals, version = pin.partition("==")
    with urllib.request.urlopen(f"{index.rstrip('/')}/{normal(name)}/", timeout=60) as answer:
        page = answer.read().decode()
    found = []
    for digest, wheel in re.findall(r'#sha256=([0-9a-f]{64})"[^>]*>([^<]+\.whl)<', page):
        if wheel.split("-")[1].lower() == version.lower():
            found.append(digest)
    if not found:
        raise SystemExit(f"{index} has no wheel of {pin}.")
    return sorted(found)


def digest_of(data: bytes) -> str:
    """A hash as a wheel's RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def build(info: Path, output: Path) -> tuple[str, str]:
    """A wheel of a directory of metadata and the package of the same name, if there is one; its pin and its hash."""
    metadata = (info / "METADATA").read_text()
    name, version = (re.findall(rf"(?m)^{field}: (\S+)", metadata)[0] for field in ("Name", "Version"))
    short = name.replace("-", "_")
    files = {f"{info.name}/{part}": (info / part).read_bytes() for part in ("METADATA", "entry_points.txt")}
    package = info.parent / short
    for path in sorted(package.rglob("*.py")) if package.is_dir() else ():
        files[str(path.relative_to(info.parent))] = path.read_bytes()
    files[f"{info.name}/WHEEL"] = WHEEL.encode()
    lines = [f"{path},sha256={digest_of(data)},{len(data)}\n" for path, data in sorted(files.items())]
    files[f"{info.name}/RECORD"] = "".join([*lines, f"{info.name}/RECORD,,\n"]).encode()
    wheel = output / f"{short}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, STAMP), data)
    return f"{name}=={version}", hashlib.sha256(wheel.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    wheels = args.output / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    locked = {pin: hashes(args.index, pin) for pin in pins()}
    for info in sorted((IMAGES / "engine/dist-packages").glob("*.dist-info")):
        pin, digest = build(info, wheels)
        locked[pin] = [digest]
    lines = [
        f"{pin} \\\n    --hash=sha256:" + " \\\n    --hash=sha256:".join(found) for pin, found in sorted(locked.items())
    ]
    (args.output / "lock.txt").write_text("\n".join(lines) + "\n")
    print(f"{args.output / 'lock.txt'}: {len(locked)} packages")


if __name__ == "__main__":
    main()
