# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several modules say of themselves in the same words."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments, one attribute each."""

    READER = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and predict the changes without making them.
    support: full
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
    support: N/A
    details: The module changes nothing.
  idempotent:
    description: A second run with the same arguments reports no change.
    support: full
"""

    # A module that an action plugin runs in slices, to show how far it is meanwhile.
    WAITER = r"""
options:
  slice:
    description:
      - >-
        Seconds after which the module returns with RV(finished=false) though it is not over; V(0) waits in one go. The
        action plugin uses V(10) where it is not given.
    type: float
    default: 0
  resume:
    description:
      - The RV(resume) that the slice before returned. The action plugin passes it on.
    type: dict
    default: {}
"""
