# SPDX-License-Identifier: GPL-3.0-or-later
"""The module hf_snapshot in a process of its own, as on a host: options as JSON on stdin, result on stdout."""

from __future__ import annotations

import importlib
import json
import sys

from ansible.module_utils.testing import patch_module_args

if __name__ == "__main__":
    with patch_module_args(json.load(sys.stdin)):
        importlib.import_module("ansible_collections.llmserve.vllm.plugins.modules.hf_snapshot").main()
