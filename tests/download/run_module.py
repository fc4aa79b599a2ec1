# SPDX-License-Identifier: GPL-3.0-or-later
"""A module in a process of its own, as on a host: options as JSON on stdin, result on stdout (default: hf_snapshot)."""

from __future__ import annotations

import importlib
import json
import sys

from ansible.module_utils.testing import patch_module_args

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "hf_snapshot"
    with patch_module_args(json.load(sys.stdin)):
        importlib.import_module(f"ansible_collections.llmserve.vllm.plugins.modules.{name}").main()
