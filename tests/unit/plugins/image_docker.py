# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Docker that has images in a directory: image inspect, save and load."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

SCRIPT = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/calls"
case "$1 $2" in
  "image inspect")
    name=$(echo "$3" | tr '/:' '__')
    if [ -s "$here/images/$name.json" ]; then cat "$here/images/$name.json"; exit 0; fi
    echo "Error: No such image: $3" >&2; exit 1 ;;
esac
case "$1" in
  save)
    [ -e "$here/broken" ] && { head -c 700 "$here/archive.tar"; echo "no space left" >&2; exit 1; }
    cat "$here/archive.tar"; exit 0 ;;
  load)
    cat > "$here/loaded.tar"
    [ -e "$here/broken" ] && { echo "invalid tar header"; exit 1; }
    cp "$here/stock/"*.json "$here/images/"; exit 0 ;;
esac
exit 2
"""
LAYER = b"layer" * 1000


class ImageDocker:
    """Writes the stand-in into a directory and steers it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("images", "stock"):
            (folder / name).mkdir(parents=True)
        self.path = str(folder / "docker")
        Path(self.path).write_text(SCRIPT)
        Path(self.path).chmod(0o755)

    def image(self, name: str, *layers: str, env: str = "A=1", image_id: str = "sha256:1") -> None:
        """Have an image, in Docker and in the archive to load."""
        told = {
            "Id": image_id,
            "Os": "linux",
            "Architecture": "amd64",
            "Size": 5000,
            "RootFS": {"Type": "layers", "Layers": list(layers)},
            "Config": {"Env": [env], "Cmd": None},
        }
        for folder in ("images", "stock"):
            (self.folder / folder / (name.replace("/", "_").replace(":", "_") + ".json")).write_text(json.dumps([told]))

    def forget(self, name: str) -> None:
        """Have an image no longer."""
        (self.folder / "images" / (name.replace("/", "_").replace(":", "_") + ".json")).unlink()

    def archive(self, *links: tuple[str, str]) -> None:
        """What save gives out: two files, and links to them."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content in (("aa/layer.tar", LAYER), ("manifest.json", b"[]")):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            for name, target in links:
                member = tarfile.TarInfo(name)
                member.type, member.linkname = tarfile.SYMTYPE, target
                tar.addfile(member)
        (self.folder / "archive.tar").write_bytes(buffer.getvalue())

    def break_down(self) -> None:
        """Let save and load fail from now on."""
        (self.folder / "broken").touch()

    def mend(self) -> None:
        (self.folder / "broken").unlink()

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()
