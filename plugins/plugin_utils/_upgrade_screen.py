# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade is about to do, how it ended, and how far a broken one has come: text of 80 columns.

This plugin util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.llmserve.vllm.plugins.module_utils._wait import minutes
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_screen import WIDTH, wrap

_LABEL = 12
_COMMIT = 12
# A phase of the journal in which a run that ends has left work to do.
UNFINISHED = ("drain", "swap", "rollback")
# Said by hosts that have failed only because another one has.
_SECOND_HAND = "Another host has failed"


def preview_screen(preview: Mapping[str, Any]) -> str:
    """What would change, and what it costs."""
    changes = preview["changes"]
    count = f"{len(changes)} change{'s' * (len(changes) != 1)}" if changes else "nothing to change"
    return _screen(f"{preview['kind'].capitalize()} of {preview['cluster']}: {count}", _preview_rows(preview))


def _preview_rows(preview: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    changes = preview["changes"]
    for number, item in enumerate(changes):
        yield "" if number else "Changes", item["words"]
    journal = preview.get("journal") or {}
    if journal.get("phase") in UNFINISHED:
        yield "Goes on", journal_words(journal)
    if preview.get("drift"):
        yield "Runs now", "not what was verified; " + "; ".join(preview["drift"])
    if changes or journal.get("phase") in UNFINISHED:
        of_ray = any(item["of_ray"] for item in changes)
        yield "Restarts", "Ray and the engine" if of_ray else "the engine alone, where Ray runs as it should"
        yield "Requests", _requests(preview.get("figures") or {}, float(preview["drain_seconds"]))
        yield "Fails to", _deployment(preview["back"])
    else:
        yield "Serves", _deployment(preview["back"])


def _requests(figures: Mapping[str, float], seconds: float) -> str:
    now = (
        f"{figures['requests_running']:.0f} running, {figures.get('requests_waiting', 0):.0f} waiting now"
        if "requests_running" in figures
        else "not told"
    )
    return f"{now}; they get {minutes(seconds)} to end" if seconds else f"{now}; they are cut"


def _deployment(lock: Mapping[str, Any]) -> str:
    kept = lock["deployment"]
    commit = f" {kept['model']['commit'][:_COMMIT]}" if kept["model"].get("commit") else ""
    name = (kept.get("request") or {}).get("llmserve_model") or kept["model"].get("repo") or kept["model"]["path"]
    return f"{kept['image']['name']}, {name}{commit}, verified {lock['time']}"


def outcome_screen(outcome: Mapping[str, Any]) -> str:
    """How it ended, whichever way."""
    kind = outcome["kind"]
    titles = {
        "done": f"{kind} done: it serves",
        "rolled_back": f"{kind} failed: what was verified before serves again",
        "failed": f"{kind} failed, and so did going back: NOTHING SERVES",
    }
    return _screen(f"{outcome['cluster']}: {titles[outcome['result']]}", _outcome_rows(outcome))


def _outcome_rows(outcome: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, words in enumerate(outcome.get("changes") or ()):
        yield "" if number else ("Changed" if outcome["result"] == "done" else "Wanted"), words
    if outcome["result"] != "done":
        yield "Failed", root_failure(outcome.get("failures") or {})
    if outcome["result"] == "failed":
        yield "Going back", root_failure(outcome.get("back_failures") or {})
        yield "Now", "run playbooks/doctor.yml; when that is mended, playbooks/rollback.yml goes on"
    else:
        served = outcome["serves"]
        commit = f" {served['commit'][:_COMMIT]}" if served.get("commit") else ""
        yield "Serves now", f"{served['image']}, {served['model']}{commit}, proven by the smoke test"
    if outcome.get("outage_seconds") is not None:
        yield "No service", f"for {minutes(float(outcome['outage_seconds']))}"
    if outcome.get("requests"):
        yield "Requests", str(outcome["requests"])
    if outcome["result"] == "done" and outcome["kind"] == "upgrade":
        yield "Go back", "playbooks/rollback.yml"
    if outcome["result"] == "done" and outcome["kind"] == "rollback":
        yield "Inventory", "what it asks for comes back with the next playbooks/serve.yml or upgrade.yml"


def root_failure(failures: Mapping[str, str]) -> str:
    """What has failed first, with its host: not what other hosts say of it."""
    told = {host: str(text).strip() for host, text in failures.items() if str(text).strip()}
    first = {host: text for host, text in told.items() if not text.startswith(_SECOND_HAND)}
    for host, text in (first or told).items():
        return f"{host}: {text}"
    return "for a reason that no host has told"


def journal_words(journal: Mapping[str, Any], held: bool = False) -> str:
    """How far an upgrade or a rollback has come."""
    kind, phase = str(journal.get("kind") or "upgrade"), str(journal.get("phase") or "")
    what = "; ".join(map(str, journal.get("changes") or ()))
    of = f"{kind} of {_stamp(journal.get('began'))}" + (f" ({what})" if what else "")
    if phase in UNFINISHED:
        if held:
            # whoever holds the deployment may have been killed
            return f"{of} is under way ({phase}), or was broken off"
        return f"{of} was broken off ({phase}); playbooks/upgrade.yml, rollback.yml and serve.yml go on from there"
    if phase == "rolled_back":
        return f"{of} was rolled back: {journal.get('reason') or 'no reason was kept'}"
    if phase == "failed":
        return f"{of} failed, and so did going back: {journal.get('reason') or 'no reason was kept'}"
    return f"{of} is done"


def _stamp(seconds: Any) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(float(seconds)))
    except (TypeError, ValueError):
        return "an unknown time"


def _screen(title: str, rows: Iterator[tuple[str, str]]) -> str:
    lines = [*wrap(title), "=" * WIDTH]
    for label, text in rows:
        lines += wrap(text, label.ljust(_LABEL), " " * _LABEL)
    return "\n".join([*lines, "=" * WIDTH])
