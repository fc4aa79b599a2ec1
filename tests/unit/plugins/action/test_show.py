# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action llmserve.vllm.show."""

from __future__ import annotations

from ansible_collections.llmserve.vllm.plugins.action.show import printable


def test_control_characters_of_an_answer_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[31mb\x02\r\nSão\n\n") == "a[31mb\nSão"
