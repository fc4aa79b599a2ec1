# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints a text on the controller, as it is."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


def printable(text: str) -> str:
    """The text without what would confuse a terminal: a model's answer can hold anything."""
    return "".join(char for char in text if char.isprintable() or char == "\n").rstrip()


class ActionModule(ActionBase):
    """The action of llmserve.vllm.show; its options are in the module's documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec={"text": {"type": "str", "required": True}})
        display.display(printable(args["text"]))
        result["changed"] = False
        return result
