# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of preflight: pure functions over the facts of all hosts, the plan and the inventory.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations
