# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a systemd unit that serves: words and values quoted as systemd reads them, and read back.

What Docker keeps as labels of a container stands in the unit's section X-llmserve, which systemd skips.
This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, NamedTuple, Sequence

LABELS_SECTION = "X-llmserve"
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "%": "%%", "$": "$$"}
_BACK = {"n": "\n", "t": "\t"}
# What keeps its meaning between double quotes in a file of EnvironmentFile=.
_ENVIRONMENT_SPECIAL = re.compile(r'(["\\`$])')
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


class UnitFileError(ValueError):
    """Something that no unit can carry; the message says what and how to mend it."""


class UnitFile(NamedTuple):
    """What this collection has put into a unit."""

    labels: Dict[str, str]
    user: str
    command: List[str]
    # NAME:FILE, as LoadCredential= has them
    credentials: List[str]
    environment_file: str


def quote(word: str) -> str:
    """One word of a command line. Always in quotes, so that a lone semicolon is no separator."""
    if "\0" in word:
        raise UnitFileError("An argument has a NUL byte in it: {0!r}. Take it out.".format(word))
    return '"' + "".join(_ESCAPES.get(letter, letter) for letter in word) + '"'


def command_line(words: Sequence[str]) -> str:
    """The value of ExecStart=."""
    return " ".join(quote(str(word)) for word in words)


def read_command(line: str) -> List[str]:
    """The words of a command line that C(command_line) has made."""
    words: List[str] = []
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"', line):
        text = re.sub(r"\\(.)", lambda found: _BACK.get(found.group(1), found.group(1)), match.group(1))
        words.append(text.replace("%%", "%").replace("$$", "$"))
    return words


def environment_text(variables: Mapping[str, object]) -> str:
    """A file for EnvironmentFile=, sorted by name."""
    lines = []
    for name in sorted(map(str, variables)):
        value = str(variables[name])
        if not _NAME.match(name):
            raise UnitFileError("{0!r} is no name of an environment variable.".format(name))
        if "\0" in value:
            raise UnitFileError("The environment variable {0} has a NUL byte in it. Take it out.".format(name))
        lines.append('{0}="{1}"\n'.format(name, _ENVIRONMENT_SPECIAL.sub(r"\\\1", value)))
    return "".join(lines)


def read(text: str) -> UnitFile:
    """The unit in a file; without labels where the file is not of this collection."""
    section = ""
    labels: Dict[str, str] = {}
    service: Dict[str, str] = {}
    credentials: List[str] = []
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[] \t")
            continue
        name, equals, value = line.partition("=")
        if not equals or line.startswith(("#", ";")):
            continue
        if section == LABELS_SECTION:
            labels[name.strip()] = value.strip()
        elif section == "Service" and name == "LoadCredential":
            credentials.append(value.strip())
        elif section == "Service":
            service[name.strip()] = value.strip()
    return UnitFile(
        labels,
        service.get("User", ""),
        read_command(service.get("ExecStart", "")),
        credentials,
        service.get("EnvironmentFile", ""),
    )
