# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of a host, and facts without them.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import os
from typing import Any, List, NamedTuple, Sequence

from ansible_collections.llmserve.vllm.plugins.module_utils._redact import redact

# More than any key; what is longer is no secret of ours.
_MOST = 1 << 16


class Secrets(NamedTuple):
    """The values that must not leave the host, and the files that may hold more but could not be read."""

    values: List[str]
    unread: List[str]


def read_secrets(paths: Sequence[str]) -> Secrets:
    """The content of each file, and each of its lines; a file that is not there holds none."""
    values: List[str] = []
    unread: List[str] = []
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read(_MOST).strip()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as exc:
            unread.append("{0}: {1}".format(path, exc.strerror or os.strerror(exc.errno or 0)))
            continue
        values += [text, *text.splitlines()]
    # the longest first: one may contain another
    return Secrets(sorted({value.strip() for value in values if value.strip()}, key=len, reverse=True), unread)


def without(value: Any, secrets: Sequence[str]) -> Any:
    """The same facts with every text redacted; keys are names, and stay."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {key: without(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without(item, secrets) for item in value]
    return value
