# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the engine of this host for one token, writes down how that went, and restarts what hangs.

Run by a systemd timer as `python3 canary.py canary.json`, with the Python of the host (3.8 or newer) and nothing else.
A health check stays green while an engine hangs, so nothing less than an answer counts. What looks and acts is here;
what that means and what follows from it is in canary_verdict.py beside it.
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

from canary_verdict import (
    FAILED,
    GROUP,
    NOTHING,
    START,
    Decision,
    Look,
    acting,
    decide,
    in_units,
    is_due,
    judge,
    record,
)

_PROPERTIES = "LoadState,ActiveState,SubState,NRestarts,ExecMainStartTimestampMonotonic"
_MOST_BYTES = 1 << 20
_TOKENS = re.compile(r"^vllm:(?:generation|prompt)_tokens(?:_total)?(?:\{[^}]*\})?\s+(\S+)", re.M)
_CACHE = re.compile(r"^vllm:(?:kv|gpu)_cache_usage_perc(?:\{[^}]*\})?\s+(\S+)", re.M)
_RAY = """
import signal, sys
signal.alarm(20)
import ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print("ALIVE", len({n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"]}))
""".strip()


def read_hold(text: str, now: float) -> str:
    """Why a deployment run forbids to act; empty when it does not, or when it was forgotten."""
    try:
        hold = json.loads(text)
        until = float(hold["until"])
    except (ValueError, KeyError, TypeError):
        return ""
    return "{0} is at work".format(hold.get("by") or "a deployment run") if now < until else ""


class Work(NamedTuple):
    """What the engine has done, as its metrics tell."""

    # read and made
    tokens: float
    # share of the KV cache in use, of all engines together: it grows with each piece of a long prompt, which counts as
    # read only when all of it is
    cache: float


def work_of(page: str) -> Optional[Work]:
    """The engine's work from its metrics; None when they do not tell."""
    tokens = _TOKENS.findall(page)
    return Work(_sum(tokens), _sum(_CACHE.findall(page))) if tokens else None


def _sum(values: List[str]) -> float:
    total = 0.0
    for value in values:
        with contextlib.suppress(ValueError):
            total += float(value)
    return total


def has_worked(before: Optional[Work], after: Optional[Work]) -> bool:
    """Whether it made steps in between. One that hangs reports nothing new, one that was restarted counts anew."""
    return bool(before and after and after.tokens >= before.tokens and after != before)


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
    before = work_of(ask(url, "/metrics", "", None, 5).body)
    began = time.monotonic()
    body = {"model": config["model"], "prompt": "Hello", "max_tokens": 1, "temperature": 0}
    answer = ask(url, "/v1/completions", key, body, config["deadline"])
    container, started, restarts = inspect(config)
    held = read_hold(read_file(config["hold_file"]), now)
    found = Look(container=container, started=started, restarts=restarts, held=held)
    if answer.status == 200 and is_answer(answer.body):
        return found._replace(answer_seconds=round(time.monotonic() - began, 3))
    after = work_of(ask(url, "/metrics", "", None, 5).body)
    return found._replace(
        status=answer.status,
        error=answer.error or "an answer without a completion",
        healthy=ask(url, "/health", "", None, 5).status == 200,
        advanced=has_worked(before, after),
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
