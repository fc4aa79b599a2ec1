# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch of every vLLM release what defines its flags: python tests/engine_flags/fetch.py DIRECTORY [RELEASE ...]

From the index that PIP_INDEX_URL names, which has to be set, one release after the other: the source archive, or a
wheel where there is none. Of each only the Python files that history.py reads are kept; releases that the directory has
are not fetched again.
"""

from __future__ import annotations

import html
import io
import os
import re
import sys
import tarfile
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

INDEX = os.environ.get("PIP_INDEX_URL", "").rstrip("/") + "/vllm/"
OLDEST = (0, 5)
_WANTED = re.compile(
    r"(?:^|/)(vllm/(?:config(?:\.py|/.+\.py)|engine/arg_utils\.py|scripts\.py|utils(?:\.py|/.+\.py)"
    r"|entrypoints/.*cli_args\.py|entrypoints/cli/serve\.py|entrypoints/.*constants\.py|envs\.py"
    r"|transformers_utils/config\.py|model_executor/layers/quantization/__init__\.py|(?:v1/)?executor/.+\.py|v1/attention/backends/registry\.py))$"
)


def archives() -> dict[str, str]:
    """The address of one archive for each release, the source where there is one."""
    with urllib.request.urlopen(INDEX) as answer:
        page = answer.read().decode()
    links = re.findall(r'href="([^"#]+)[^"]*"[^>]*>\s*vllm-([0-9][0-9a-z.]*?)(\.tar\.gz|-[^<]*x86_64\.whl)<', page)
    found: dict[str, str] = {}
    for address, release, suffix in links:
        if suffix == ".tar.gz" or release not in found:
            found[release] = urllib.parse.urljoin(INDEX, html.unescape(address))
    numbers = {release: tuple(int(part) for part in re.findall(r"\d+", release)) for release in found}
    kept = [release for release in found if numbers[release] >= OLDEST and not re.search(r"rc|dev|[ab]\d", release)]
    return {release: found[release] for release in sorted(kept, key=numbers.__getitem__)}


def files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of an archive that define flags."""
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            for name in wheel.namelist():
                match = _WANTED.search(name)
                if match:
                    yield match.group(1), wheel.read(name)
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as source:
        for member in source:
            match = _WANTED.search(member.name)
            content = source.extractfile(member) if match else None
            if match and content:
                yield match.group(1), content.read()


def main() -> int:
    if len(sys.argv) < 2 or "PIP_INDEX_URL" not in os.environ:
        print(__doc__, file=sys.stderr)
        return 2
    folder, wanted = Path(sys.argv[1]), sys.argv[2:]
    for release, address in archives().items():
        if (folder / release).exists() or (wanted and release not in wanted):
            continue
        with urllib.request.urlopen(address) as answer:
            data = answer.read()
        part = folder / f"{release}.part"
        for name, content in files(data):
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(content)
        part.rename(folder / release)
        print(f"{release}: {len(data) / 2**20:.0f} MiB read")
        time.sleep(1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
