# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as readers of facts want it that warn: where every oddity is a fact to judge, none is said twice.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Any


class Quiet:
    """Finds and runs commands, and keeps silent."""

    def __init__(self, module: Any) -> None:
        self.get_bin_path = module.get_bin_path
        self.run_command = module.run_command

    def warn(self, text: str) -> None:
        """Say nothing."""
