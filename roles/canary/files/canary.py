# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the engine of this host for one token, writes down how that went, and restarts what hangs.

Run by a systemd timer as `python3 canary.py canary.json`, with the Python of the host (3.8 or newer) and nothing else.
A health check stays green while an engine hangs, so nothing less than an answer counts. What decides is in pure
functions (judge, record, decide); around them is what looks and acts.
"""

from __future__ import annotations

import calendar
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

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
_PROPERTIES = "LoadState,ActiveState,SubState,NRestarts,ExecMainStartTimestampMonotonic"
_CRASHES = 3
# How long after an action a container that is down was left so by an action that was cut off.
_PENDING_SECONDS = 900
_MOST_BYTES = 1 << 20
_TOKENS = re.compile(r"^vllm:(?:generation|prompt)_tokens(?:_total)?(?:\{[^}]*\})?\s+(\S+)", re.M)
_RAY = """
import signal, sys
signal.alarm(20)
import ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print("ALIVE", len({n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"]}))
""".strip()


class Look(NamedTuple):
    """What one look at the engine has shown."""

    answer_seconds: Optional[float] = None
    # HTTP status of a refusal, None without any answer
    status: Optional[int] = None
    error: str = ""
    # whether something listens and says that it is healthy
    healthy: bool = False
    # whether the engine made tokens for others meanwhile
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
        (BUSY, look.advanced, "no answer in time, but the engine makes tokens for others"),
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


def read_hold(text: str, now: float) -> str:
    """Why a deployment run forbids to act; empty when it does not, or when it was forgotten."""
    try:
        hold = json.loads(text)
        until = float(hold["until"])
    except (ValueError, KeyError, TypeError):
        return ""
    return "{0} is at work".format(hold.get("by") or "a deployment run") if now < until else ""


def tokens_made(page: str) -> float:
    """The tokens that the engine has read and made, from its metrics; 0 when they do not tell."""
    total = 0.0
    for value in _TOKENS.findall(page):
        with contextlib.suppress(ValueError):
            total += float(value)
    return total


# From here on: looking and acting.


def read_file(path: str) -> str:
    """The text of a file; empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return ""


def read_state(path: str) -> Dict[str, Any]:
    """What the looks before have left; a file that makes no sense is begun anew."""
    try:
        state = json.loads(read_file(path) or "{}")
    except ValueError:
        return {}
    return state if isinstance(state, dict) and state.get("format", 1) == 1 else {}


def write_state(path: str, state: Dict[str, Any]) -> None:
    """Replace the file in one step, readable for everybody."""
    descriptor, name = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".canary-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(state, file, indent=2, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


class Answer(NamedTuple):
    """One HTTP answer; C(status) is None when none came."""

    status: Optional[int]
    body: str
    error: str = ""


def ask(url: str, path: str, key: str, body: Optional[Dict[str, Any]], seconds: float) -> Answer:
    """One request with a deadline for all of it: in a thread that is left behind, since a server may trickle."""
    answers: List[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(_ask(url, path, key, body, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else Answer(None, "", "no answer within {0:g} s".format(seconds))


def _ask(url: str, path: str, key: str, body: Optional[Dict[str, Any]], seconds: float) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    headers = {"Content-Type": "application/json", "User-Agent": "llmserve-canary"}
    if key:
        headers["Authorization"] = "Bearer " + key
    try:
        data = json.dumps(body).encode() if body is not None else None
        connection.request("POST" if data else "GET", parts.path.rstrip("/") + path, data, headers)
        response = connection.getresponse()
        text = response.read(_MOST_BYTES).decode("utf-8", "replace")
        return Answer(
            response.status, text, "" if response.status == 200 else "HTTP status {0}".format(response.status)
        )
    except (OSError, http.client.HTTPException) as exc:
        return Answer(None, "", "{0}: {1}".format(path, exc or type(exc).__name__))
    finally:
        connection.close()


def is_answer(body: str) -> bool:
    """Whether a completion brought a choice."""
    try:
        return bool(json.loads(body)["choices"])
    except (ValueError, KeyError, TypeError):
        return False


def look_at(config: Dict[str, Any], now: float) -> Look:
    """Everything that the verdict needs."""
    url = config["url"]
    key = read_file(config["api_key_file"]).strip() if config["api_key_file"] else ""
    before = tokens_made(ask(url, "/metrics", "", None, 5).body)
    began = time.monotonic()
    body = {"model": config["model"], "prompt": "Hello", "max_tokens": 1, "temperature": 0}
    answer = ask(url, "/v1/completions", key, body, config["deadline"])
    container, started, restarts = inspect(config)
    held = read_hold(read_file(config["hold_file"]), now)
    found = Look(container=container, started=started, restarts=restarts, held=held)
    if answer.status == 200 and is_answer(answer.body):
        return found._replace(answer_seconds=round(time.monotonic() - began, 3))
    after = tokens_made(ask(url, "/metrics", "", None, 5).body)
    return found._replace(
        status=answer.status,
        error=answer.error or "an answer without a completion",
        healthy=ask(url, "/health", "", None, 5).status == 200,
        advanced=after > before > 0,
    )


def docker(config: Dict[str, Any], seconds: float, *words: str) -> Optional[str]:
    """What Docker's client printed; None when it failed."""
    return call(seconds, config["docker"], *words)


def systemctl(config: Dict[str, Any], seconds: float, *words: str) -> Optional[str]:
    """What systemctl printed; None when it failed."""
    return call(seconds, config.get("systemctl", "systemctl"), *words)


def call(seconds: float, *argv: str) -> Optional[str]:
    """What a program printed; None when it failed, and why is in the journal."""
    name = " ".join([os.path.basename(argv[0]), *argv[1:2]])
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        print("{0}: {1}".format(name, exc), flush=True)
        return None
    if done.returncode != 0:
        print("{0}: {1}".format(name, done.stderr.decode("utf-8", "replace").strip()[-500:]), flush=True)
        return None
    return done.stdout.decode("utf-8", "replace")


def inspect(config: Dict[str, Any]) -> Tuple[str, float, int]:
    """Status, start and restarts of the engine's container or unit. An empty status: who keeps it does not answer."""
    if in_units(config):
        return read_unit(systemctl(config, 20, "show", config["engine"] + ".service", "--property", _PROPERTIES) or "")
    listed = docker(config, 20, "ps", "--all", "--quiet", "--filter", "name=^/{0}$".format(config["engine"]))
    if listed is None:
        return "", 0, 0
    if not listed.strip():
        return "missing", 0, 0
    template = "{{.State.Status}} {{.RestartCount}} {{.State.StartedAt}}"
    words = (docker(config, 20, "inspect", "--format", template, config["engine"]) or "").split()
    if len(words) != 3:
        return "", 0, 0
    return words[0], parse_time(words[2]), int(words[1])


def read_unit(text: str) -> Tuple[str, float, int]:
    """The same of what systemctl shows, in Docker's words."""
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if "LoadState" not in found:
        return "", 0, 0
    if found["LoadState"] == "not-found":
        return "missing", 0, 0
    active = found.get("ActiveState") in ("active", "reloading", "activating", "deactivating")
    status = "running" if active else "exited"
    if found.get("SubState", "").startswith("auto-restart"):
        status = "restarting"
    started = int(found.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    return (
        status,
        time.time() - time.monotonic() + started if started else 0,
        int(found.get("NRestarts") or 0),
    )


def parse_time(stamp: str) -> float:
    """Docker's time in UTC as seconds since 1970."""
    try:
        return calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return 0


def ray_nodes(config: Dict[str, Any]) -> Optional[int]:
    """How many nodes Ray counts as alive; None when it does not answer."""
    if in_units(config):
        # as the user of Ray and with its token, which this unit has no right to read
        printed = call(40, *config["ray_ask"], "-c", _RAY, config["ray_address"])
    else:
        printed = docker(config, 40, "exec", config["ray_head"], "python3", "-c", _RAY, config["ray_address"])
    for line in (printed or "").splitlines():
        if line.startswith("ALIVE "):
            return int(line.split()[1])
    return None


def act(config: Dict[str, Any], action: str) -> bool:
    """Restart in the right order: Ray's head first, whose workers follow by themselves, then the engine."""
    if action == START:
        return _start(config)
    done = True
    if action == GROUP:
        done = _restart(config, config["ray_head"])
        deadline = time.monotonic() + config["ray_seconds"]
        while done and (ray_nodes(config) or 0) < config["nodes"] and time.monotonic() < deadline:
            time.sleep(5)
    # also when Ray's head could not be: it is not worse off then
    return _restart(config, config["engine"]) and done


def _start(config: Dict[str, Any]) -> bool:
    if in_units(config):
        return systemctl(config, 60, "start", config["engine"] + ".service") is not None
    return docker(config, 60, "start", config["engine"]) is not None


def _restart(config: Dict[str, Any], name: str) -> bool:
    patience = config["stop_seconds"] + 60
    if not in_units(config):
        return docker(config, patience, "restart", "-t", str(config["stop_seconds"]), name) is not None
    # starts that were counted before are not to forbid this one
    systemctl(config, 20, "reset-failed", name + ".service")
    return systemctl(config, patience, "restart", name + ".service") is not None


def watch(config: Dict[str, Any]) -> Dict[str, Any]:
    """Looks, and writes each down, until one decides: a series of failures does not wait for the timer in between."""
    while True:
        now, began = time.time(), time.monotonic()
        state = read_state(config["state_file"])
        look = look_at(config, now)
        verdict, reason = judge(look, state, config, now)
        state = record(state, verdict, reason, look, now)
        write_state(config["state_file"], state)
        print("{0}{1}".format(verdict, ": " + reason if reason else ""), flush=True)
        if verdict != FAILED or is_due(state, config):
            return state
        # as patient with what refuses at once as with what hangs
        time.sleep(max(0.0, config["deadline"] - (time.monotonic() - began)))


def main(path: str) -> int:
    """Look, and do what follows from it."""
    config = json.loads(read_file(path))
    state = watch(config)
    now = time.time()
    # Ray is asked only when that decides something
    asked = config["act"] and config["ray_head"] and is_due(state, config)
    decision = decide(state, ray_nodes(config) if asked else config["nodes"], config, now)
    if decision.action and read_hold(read_file(config["hold_file"]), time.time()):
        # somebody has begun to deploy meanwhile
        decision = Decision(NOTHING)
    state = acting(state, decision, now)
    write_state(config["state_file"], state)
    if decision.gave_up:
        print("not acting: {0}".format(decision.reason), flush=True)
    if decision.action:
        print("restarting ({0}): {1}".format(decision.action, decision.reason), flush=True)
        if not act(config, decision.action):
            print("the restart failed", flush=True)
            return 1
        write_state(config["state_file"], dict(state, pending=None))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
