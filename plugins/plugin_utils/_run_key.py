# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret that all tasks of one run of ansible-playbook know, and nobody else.

The workers of ansible-playbook are copies of one process, and multiprocessing gives that process a random key for what
its copies say to each other. So the secret needs no variable, which a task could show, and no file.
This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import hashlib
import hmac
import multiprocessing


def run_key(purpose: str) -> str:
    """A key of this run for one purpose, from which the others cannot be told."""
    shared = bytes(multiprocessing.current_process().authkey)
    return hmac.new(shared, f"llmserve {purpose}".encode(), hashlib.sha256).hexdigest()
