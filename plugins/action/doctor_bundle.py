# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs what the doctor has found, on the controller."""

from __future__ import annotations

import os
import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_bundle import bundle_files, pack
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_screen import doctor_screen


class ActionModule(ActionBase):
    """The action of llmserve.vllm.doctor_bundle; its options are in the module's documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(
            argument_spec={
                "path": {"type": "path", "required": True},
                "report": {"type": "dict", "required": True},
                "nodes": {"type": "list", "elements": "dict", "required": True},
            }
        )
        path = os.path.abspath(args["path"])
        files = bundle_files(doctor_screen(args["report"]), args["report"], args["nodes"])
        folder = os.path.basename(path).partition(".tar")[0] or "llmserve-doctor"
        if not self._task.check_mode:
            write(path, pack(files, folder, int(time.time())))
        result.update(changed=False, path=path, files=sorted(files))
        return result


def write(path: str, data: bytes) -> None:
    """A file that is the operator's alone, complete or not there."""
    partial = path + ".part"
    try:
        with open(partial, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data)
        os.replace(partial, path)
    except OSError as exc:
        raise AnsibleActionFail(f"The bundle cannot be written to {path}: {exc.strerror}.") from exc
