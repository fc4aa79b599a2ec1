"""A Python package index (PEP 503) from a folder of wheels."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import quote


class WheelIndex:
    """The wheels of a folder."""

    def __init__(self, folder: Path) -> None:
        self._files = {wheel.name: wheel for wheel in sorted(folder.glob("*.whl"))}
        self._digests: dict[Path, str] = {}
        self._projects: dict[str, list[Path]] = {}
        for wheel in self._files.values():
            project = re.sub(r"[-_.]+", "-", wheel.name.split("-", maxsplit=1)[0]).lower()
            self._projects.setdefault(project, []).append(wheel)

    def wheel(self, name: str) -> Path | None:
        """Find a file."""
        return self._files.get(name)

    def page(self, project: str | None) -> bytes | None:
        """The list of all projects, or of one project's files; None when there is no such project."""
        if project is None:
            links = [f'<a href="{name}/">{name}</a>' for name in self._projects]
        elif project in self._projects:
            links = [
                f'<a href="/wheels/{quote(wheel.name)}#sha256={self._digest(wheel)}">{wheel.name}</a>'
                for wheel in self._projects[project]
            ]
        else:
            return None
        return ("<!DOCTYPE html>\n<html><body>\n" + "<br>\n".join(links) + "\n</body></html>\n").encode()

    def _digest(self, wheel: Path) -> str:
        """Return the sha256 of a wheel, computed when a client first asks for its project."""
        if wheel not in self._digests:
            with wheel.open("rb") as stream:
                self._digests[wheel] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self._digests[wheel]
