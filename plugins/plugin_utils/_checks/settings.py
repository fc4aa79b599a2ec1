# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How serious each check is, as the inventory sets it.


This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.llmserve.vllm.plugins.plugin_utils._checks.base import OFF, SEVERITIES, Check

_KEYS = {"severity", "reason"}


class SettingsError(ValueError):
    """preflight_checks says something that cannot be done."""


class Setting(NamedTuple):
    """How serious a check is, and why it is not as usual."""

    severity: str
    reason: str


def effective(settings: Any, checks: Iterable[Check]) -> dict[str, Setting]:
    """The setting of every check."""
    result = {check.name: Setting(check.severity, "") for check in checks}
    if not isinstance(settings, Mapping):
        raise SettingsError(
            "preflight_checks is a dictionary with the names of checks, such as "
            "{swap: {severity: off, reason: ...}}, not " + f"{settings!r}."
        )
    for name, setting in settings.items():
        known = _known(str(name), result)
        result[known] = _setting(known, setting)
    return result


def _known(name: str, known: Mapping[str, Setting]) -> str:
    if name in known:
        return name
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else "docs/preflight.md lists the names."
    raise SettingsError(f"preflight_checks: there is no check {name!r}; {hint}")


def _setting(name: str, setting: Any) -> Setting:
    if isinstance(setting, Mapping):
        extra = sorted(set(map(str, setting)) - _KEYS)
        if extra:
            raise SettingsError(f"preflight_checks.{name}: {extra[0]} is not known; there are severity and reason.")
        severity, reason = setting.get("severity"), str(setting.get("reason") or "").strip()
    else:
        severity, reason = setting, ""
    # YAML reads a bare off as false
    severity = OFF if severity is False else severity
    if severity not in SEVERITIES:
        raise SettingsError(f"preflight_checks.{name}: severity is error, warning or off, not {severity!r}.")
    if severity == OFF and not reason:
        raise SettingsError(
            f"preflight_checks.{name}: to switch a check off takes a reason, for those who come after: "
            f"{name}: {{severity: off, reason: ...}}."
        )
    return Setting(str(severity), reason)
