# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module's main() in this process, and read what it prints."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args


def run_module(which: str, capsys: pytest.CaptureFixture[str], /, **args: Any) -> dict[str, Any]:
    """The module's result; C(rc) is its exit code, C(warned) what it warned about."""
    warned: list[str] = []
    module = importlib.import_module(f"ansible_collections.llmserve.vllm.plugins.modules.{which}")
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch, patch_module_args(args), pytest.raises(SystemExit) as ended:
        # in one process ansible-core prints each warning only once, whichever module gave it
        patch.setattr(AnsibleModule, "warn", lambda _module, text, **_more: warned.append(text))
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    result.update(rc=ended.value.code, warned=" ".join(warned))
    return result
