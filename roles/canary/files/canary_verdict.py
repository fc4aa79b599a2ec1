# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the looks of the canary mean, and what follows: pure functions (judge, record, decide).

Put beside canary.py, which imports it, on hosts with Python 3.8 or newer and nothing else.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

# Verdicts. Only the last one ever leads to a restart.
OK = "ok"
BUSY = "busy"
HELD = "held"
STOPPED = "stopped"
LOADING = "loading"
CRASHING = "crashing"
REFUSED = "refused"
UNKNOWN = "unknown"
FAILED = "failed"

# Actions.
NOTHING = ""
ENGINE = "engine"
GROUP = "group"
START = "start"

_DAY = 24 * 3600
_KEPT_ACTIONS = 20
_CRASHES = 3
# How long after an action a container that is down was left so by an action that was cut off.
_PENDING_SECONDS = 900


class Look(NamedTuple):
    """What one look at the engine has shown."""

    answer_seconds: Optional[float] = None
    # HTTP status of a refusal, None without any answer
    status: Optional[int] = None
    error: str = ""
    # whether something listens and says that it is healthy
    healthy: bool = False
    # whether the engine worked for others meanwhile
    advanced: bool = False
    # why nothing may be done now; empty when it may
    held: str = ""
    # what Docker says of the engine's container, or systemd of its unit; empty when it does not answer
    container: str = ""
    started: float = 0
    restarts: int = 0


class Decision(NamedTuple):
    """What to do, and why."""

    action: str
    reason: str = ""
    gave_up: bool = False


def judge(look: Look, state: Dict[str, Any], config: Dict[str, Any], now: float) -> Tuple[str, str]:
    """The verdict on a look, with its reason. The first that applies is it."""
    crashes = look.restarts - restarts_before(state, look)
    verdicts = (
        (OK, look.answer_seconds is not None, ""),
        (HELD, bool(look.held), look.held),
        (UNKNOWN, not look.container, "{0} does not answer; {1}".format(keeper(config), look.error)),
        (
            CRASHING,
            look.container == "restarting" or crashes >= _CRASHES,
            "the engine dies and {0} restarts it ({1} restarts)".format(keeper(config), look.restarts),
        ),
        # what dies by itself is restarted: this one was stopped, or given up
        (STOPPED, look.container != "running", "the engine's {0} is {1}".format(kind(config), look.container)),
        (REFUSED, 400 <= (look.status or 0) < 500, look.error),
        (BUSY, look.advanced, "no answer in time, but the engine works for others"),
        (LOADING, not look.healthy and _is_loading(look, state, config, now), look.error),
        (FAILED, True, look.error),
    )
    return next((verdict, reason) for verdict, applies, reason in verdicts if applies)


def in_units(config: Dict[str, Any]) -> bool:
    """Whether systemd units serve instead of containers."""
    return bool(config.get("runtime") == "venv")


def keeper(config: Dict[str, Any]) -> str:
    """Who restarts what dies."""
    return "systemd" if in_units(config) else "Docker"


def kind(config: Dict[str, Any]) -> str:
    """What the engine runs in."""
    return "unit" if in_units(config) else "container"


def _is_loading(look: Look, state: Dict[str, Any], config: Dict[str, Any], now: float) -> bool:
    """Whether it has not answered since it was started, and that is not too long ago."""
    answered = float(state.get("last_ok") or 0) > look.started
    return not answered and now - look.started < config["loading_seconds"]


def restarts_before(state: Dict[str, Any], look: Look) -> int:
    """Docker's count of restarts at the last answer; it begins anew when somebody restarts the container."""
    return min(int(state.get("restarts_at_ok", look.restarts)), look.restarts)


def record(state: Dict[str, Any], verdict: str, reason: str, look: Look, now: float) -> Dict[str, Any]:
    """The state after a look."""
    counts = dict(state.get("counts") or {})
    counts[verdict] = counts.get(verdict, 0) + 1
    after = dict(state, format=1, verdict=verdict, reason=reason, last_check=now, counts=counts)
    after.setdefault("actions", [])
    after.setdefault("failures_in_a_row", 0)
    after["restarts_at_ok"] = look.restarts if verdict == OK else restarts_before(state, look)
    if verdict == OK:
        after.update(last_ok=now, answer_seconds=look.answer_seconds, failures_in_a_row=0, gave_up=False, pending=None)
    elif verdict in (FAILED, REFUSED):
        after.update(last_failure=now, last_failure_reason=reason)
    if verdict == FAILED:
        after["failures_in_a_row"] += 1
    elif verdict not in (OK, UNKNOWN):
        # held, stopped, loading: whatever failed before has ended
        after["failures_in_a_row"] = 0
    return after


def decide(state: Dict[str, Any], nodes: Optional[int], config: Dict[str, Any], now: float) -> Decision:
    """What to do after a look was recorded. C(nodes) is how many Ray counts, None when it does not answer."""
    pending = state.get("pending") or {}
    if not config["act"]:
        return Decision(NOTHING)
    if state["verdict"] == STOPPED and now - float(pending.get("time") or 0) < _PENDING_SECONDS:
        return Decision(START, "an earlier restart was cut off")
    if not is_due(state, config):
        return Decision(NOTHING)
    spent = _spent(state, config, now)
    return Decision(NOTHING, spent, gave_up=True) if spent else _remedy(state, nodes, config)


def is_due(state: Dict[str, Any], config: Dict[str, Any]) -> bool:
    """Whether it has failed often enough in a row."""
    return bool(state["verdict"] == FAILED and state["failures_in_a_row"] >= config["failures"])


def _in_this_outage(state: Dict[str, Any]) -> List[Dict[str, Any]]:
    return [item for item in state["actions"] if item["time"] > float(state.get("last_ok") or 0)]


def _spent(state: Dict[str, Any], config: Dict[str, Any], now: float) -> str:
    """Why no more restarts are allowed; empty when there are."""
    outage = len(_in_this_outage(state))
    today = sum(item["time"] > now - _DAY for item in state["actions"])
    if outage >= config["max_restarts"]:
        return "{0} restarts have not helped".format(outage)
    if today >= config["max_restarts_a_day"]:
        return "{0} restarts within a day are enough".format(today)
    return ""


def _remedy(state: Dict[str, Any], nodes: Optional[int], config: Dict[str, Any]) -> Decision:
    """The engine alone first; with Ray's head, and so with all workers, where that cannot help or has not helped."""
    why = "{0} failures in a row: {1}".format(state["failures_in_a_row"], state["reason"])
    if not config["ray_head"]:
        # the ranks of other hosts end and start with it by themselves
        return Decision(ENGINE, why)
    if nodes is None:
        return Decision(GROUP, "Ray does not answer; " + why)
    if nodes < config["nodes"]:
        return Decision(GROUP, "Ray has {0} of {1} nodes; {2}".format(nodes, config["nodes"], why))
    if _in_this_outage(state):
        return Decision(GROUP, "restarting the engine alone has not helped; " + why)
    return Decision(ENGINE, why)


def acting(state: Dict[str, Any], decision: Decision, now: float) -> Dict[str, Any]:
    """The state before something is done, so that an action that is cut off is known as one."""
    if decision.action == NOTHING:
        return dict(state, gave_up=decision.gave_up, gave_up_reason=decision.reason) if decision.gave_up else state
    counts = dict(state["counts"], acted=state["counts"].get("acted", 0) + 1)
    entry = {"time": now, "what": decision.action, "reason": decision.reason}
    actions = [*state["actions"], entry][-_KEPT_ACTIONS:]
    return dict(state, counts=counts, actions=actions, pending=entry, failures_in_a_row=0, gave_up=False)
