# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the planner raises.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

# What a message shows of a value at most.
_SHOWN = 60
# A name longer than this is none.
_NAME = 100


class PlanError(ValueError):
    """The question itself is wrong: one line that names the field."""


def shown(value: object) -> str:
    """A value for a message, on one line and short whatever it is."""
    if isinstance(value, (str, bytes)):
        text = repr(value[: 2 * _SHOWN])
    elif value is None or isinstance(value, (bool, float)):
        text = repr(value)
    elif isinstance(value, int):
        # Python refuses to write out thousands of digits
        text = str(value) if abs(value) < 10**_SHOWN else "a number of {0} bits".format(value.bit_length())
    else:
        return "a {0}".format(type(value).__name__)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def label(value: object, default: str) -> str:
    """A name that somebody gave, fit for a line of text."""
    if value is None or value == "" or not isinstance(value, (str, int, float)):
        return default
    text = " ".join(value[: 2 * _NAME].split()) if isinstance(value, str) else shown(value)
    text = "".join(letter for letter in text if letter.isprintable())
    return text[:_NAME] or default
