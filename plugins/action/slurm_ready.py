# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the progress of the module slurm_ready while it waits."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.plugins.plugin_utils._watch import WatchAction


class ActionModule(WatchAction):
    """The action of llmserve.vllm.slurm_ready; its options are the module's."""

    MODULE = "llmserve.vllm.slurm_ready"
