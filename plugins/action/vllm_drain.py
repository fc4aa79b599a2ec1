# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how many requests are left while the module vllm_drain waits for them."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.plugins.plugin_utils._watch import WatchAction


class ActionModule(WatchAction):
    """The action of llmserve.vllm.vllm_drain; its options are the module's."""

    MODULE = "llmserve.vllm.vllm_drain"
    # requests are short, and so is the time in which somebody wonders
    _slice = 5.0
