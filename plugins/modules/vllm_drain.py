#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module vllm_drain."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_drain
short_description: Stop a vLLM server when its requests have ended
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Watches C(/metrics) of a server until no request runs or waits, and stops its container or unit then, or when
    O(timeout) is over. The requests that are cut by that are counted.
  - vLLM has no switch against new requests outside of its development mode, so that they are still answered while it
    waits. A server that was started with C(--shutdown-timeout) (vLLM 0.18 and newer) is told to stop at once instead.
    It refuses new requests from then on and finishes those that run, as long as its own limit says.
  - A container or unit that does not run is left as it is. One whose server is still loading, or does not say how busy
    it is, is stopped without a wait.
  - In a playbook an action plugin of the same name runs this module in slices and prints a line of progress for each.
requirements:
  - With O(container), a container runtime's command line with C(inspect) and C(stop), and the right to use it.
  - With O(unit), systemd, and the right to stop the unit.
extends_documentation_fragment:
  - llmserve.vllm.attributes.waiter
attributes:
  check_mode:
    support: full
    description:
      - Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Looks once, waits for nothing and stops nothing.
  diff_mode:
    support: none
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  container:
    description:
      - Name of the container of the server.
      - Either this or O(unit) is required.
    type: str
  unit:
    description: Name of the systemd unit of the server.
    type: str
  url:
    description: Address of the endpoint as seen from this host, with or without C(/v1) at the end.
    type: str
    default: http://127.0.0.1:8000
  api_key_file:
    description:
      - File on this host that holds the key of the endpoint. vLLM itself shows C(/metrics) without one, a gateway may
        not. A file that is not there is no key.
    type: path
  timeout:
    description: Seconds to wait for requests to end. With V(0) the server is stopped at once.
    type: float
    default: 120
  stop_timeout:
    description:
      - Seconds that the container gets to end before it is killed. For a unit its own C(TimeoutStopSec) says that, and
        this how long to wait for it.
    type: int
    default: 60
  interval:
    description: Seconds between two looks.
    type: float
    default: 1
  docker_cli:
    description: Name or path of the container runtime's command line on this host.
    type: str
    default: docker
seealso:
  - module: llmserve.vllm.vllm_ready
"""

EXAMPLES = r"""
- name: Stop the engine without cutting an answer off
  llmserve.vllm.vllm_drain:
    container: llmserve-vllm
    url: http://10.0.0.11:8000
    timeout: 120
  become: true
  register: drained
"""

RETURN = r"""
drained:
  description:
    - What has become of the requests, with C(began_with), those that were open at first, C(ended), those that have
      ended since, C(cut), those that were open when the server was stopped, and C(seconds). V(null) is a number that
      the server did not tell.
  returned: success
  type: dict
  sample: {began_with: 3, ended: 3, cut: 0, seconds: 4.1}
stop_seconds:
  description: For how long new requests were not taken any more when the server had ended.
  returned: success
  type: float
  sample: 2.3
summary:
  description: The same in words.
  returned: success
  type: str
  sample: 3 open when the drain began, 3 finished in 4.1 s, 0 cut
progress:
  description: The state in one sentence.
  returned: always
  type: str
  sample: 2 running, 0 waiting; stopped when none is left, or in 94 s
elapsed:
  description: Seconds waited so far, those of earlier slices included.
  returned: always
  type: float
  sample: 12.5
finished:
  description: Whether the wait is over. Only a slice returns V(false).
  returned: always
  type: bool
  sample: true
resume:
  description: What the next slice needs to know.
  returned: always
  type: dict
"""

import time
from typing import Any, Dict, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _drain
from ansible_collections.llmserve.vllm.plugins.module_utils._container import ContainerError
from ansible_collections.llmserve.vllm.plugins.module_utils._metrics import engine_figures
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import (
    CONNECTION_REFUSED,
    ApiError,
    Endpoint,
    read_key,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._runtime import Runtime, runtime_of
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import (
    READY,
    TIMEOUT,
    WAITING,
    Look,
    wait_for,
)

_METRICS_SECONDS = 5.0


class Drain:
    """Looks how busy the server is, and stops it."""

    def __init__(self, params: Dict[str, Any], runtime: Runtime) -> None:
        resume = params["resume"]
        self.params = params
        self.runtime = runtime
        self.first = self._remembered(resume.get("first"))
        self.last = self._remembered(resume.get("last"))
        self.silent = int(resume.get("silent", 0))
        self.was_running = bool(resume.get("was_running", False))
        # the server's own limit, once it has been told to stop
        self.own = float(resume.get("own", 0))

    @staticmethod
    def _remembered(given: Any) -> Optional[_drain.Requests]:
        return _drain.Requests(*given) if given else None

    def resume(self) -> Dict[str, Any]:
        """What the next slice needs."""
        return {
            "first": list(self.first) if self.first else None,
            "last": list(self.last) if self.last else None,
            "silent": self.silent,
            "was_running": self.was_running,
            "own": self.own,
        }

    def is_up(self) -> bool:
        """Whether there is anything to stop. What restarts again and again is started until it is stopped."""
        return self.runtime.state().status in ("running", "restarting", "paused")

    def look(self, _budget: float, left: float) -> Look:
        """One look at the requests, and at the server's process as soon as it was told to stop."""
        if not self.is_up():
            return Look(READY, "it does not run", {})
        self.was_running = True
        try:
            requests = self._ask()
        except ApiError as exc:
            if exc.kind == CONNECTION_REFUSED and not self.own:
                # it loads, and has not taken any request
                self.first = self.last = _drain.Requests(0, 0, None)
                return Look(READY, "it does not listen", {})
            requests = None
        self.silent = 0 if requests else self.silent + 1
        self.first = self.first or requests
        self.last = requests or self.last
        words = _drain.sentence(requests, left, bool(self.own))
        if self.own:
            return Look(WAITING, words, {})
        if requests is None:
            return Look(READY if self.silent >= _drain.SILENT_LOOKS else WAITING, words, {})
        return Look(WAITING if requests.open else READY, words, {})

    def _ask(self) -> Optional[_drain.Requests]:
        try:
            key = read_key(self.params["api_key_file"])
        except OSError:
            key = ""
        page = Endpoint(self.params["url"], key).get("/metrics", _METRICS_SECONDS)
        return _drain.requests_of(engine_figures(page.decode("utf-8", "replace")))

    def stop(self) -> str:
        """Stop the server; why that failed."""
        done = self.runtime.stop(self.params["stop_timeout"])
        return (done.stderr.strip() or "rc {0}".format(done.rc)) if done.rc and self.is_up() else ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "container": {"type": "str"},
            "unit": {"type": "str"},
            "url": {"type": "str", "default": "http://127.0.0.1:8000"},
            "api_key_file": {"type": "path", "no_log": False},
            "timeout": {"type": "float", "default": 120},
            "stop_timeout": {"type": "int", "default": 60},
            "interval": {"type": "float", "default": 1},
            "docker_cli": {"type": "str", "default": "docker"},
            "slice": {"type": "float", "default": 0},
            "resume": {"type": "dict", "default": {}},
        },
        required_one_of=[("container", "unit")],
        mutually_exclusive=[("container", "unit")],
        supports_check_mode=True,
    )
    try:
        run(module)
    except (ContainerError, ValueError) as exc:
        module.fail_json(msg=str(exc))


def run(module: AnsibleModule) -> None:
    """Wait for a slice, and stop the container when it is over."""
    params = module.params
    runtime = runtime_of(params)
    if runtime is None:
        module.fail_json(msg="Name the container or the unit of the server: container or unit is empty.")
        return
    drain = Drain(params, runtime)
    already = float(params["resume"].get("elapsed", 0))
    timeout = 0.0 if module.check_mode else params["timeout"]
    if timeout and not params["resume"] and drain.is_up():
        # a server that drains by itself does it better than somebody who looks on
        own = _drain.own_drain_seconds(runtime.command())
        drain.own = own if own and not runtime.tell().rc else 0.0
    limit = drain.own + _drain.ENGINE_MARGIN if drain.own else timeout
    waited = wait_for(
        lambda budget: drain.look(budget, limit - already),
        timeout=limit,
        interval=params["interval"],
        slice_seconds=params["slice"],
        already=already,
    )
    result: Dict[str, Any] = {"progress": waited.look.sentence, "elapsed": round(waited.elapsed, 1)}
    if waited.status == WAITING:
        module.exit_json(changed=False, finished=False, resume=dict(drain.resume(), elapsed=waited.elapsed), **result)
    began = time.monotonic()
    if not module.check_mode and drain.is_up():
        problem = drain.stop()
        if problem:
            module.fail_json(
                msg="{0} cannot be stopped: {1}. See `systemctl status {2}` on this host.".format(
                    runtime.name, problem, params["unit"] or "docker"
                ),
                **result,
            )
    drained = _drain.sum_up(drain.first, drain.last, cut(drain, waited.status, waited.elapsed), waited.elapsed)
    module.exit_json(
        changed=drain.was_running,
        finished=True,
        drained=drained.as_dict(),
        stop_seconds=round(time.monotonic() - began + (waited.elapsed if drain.own else 0), 1),
        summary=_drain.summary(drained.as_dict()) if drain.was_running else "it did not run",
        resume={},
        **result,
    )


def cut(drain: Drain, status: str, elapsed: float) -> Optional[int]:
    """How many requests were open at the stop; a server that drains by itself cuts them when its time is over."""
    if not drain.was_running:
        return 0
    if drain.last is None:
        return None
    if drain.own:
        return 0 if elapsed < drain.own else drain.last.open
    return drain.last.open if status == TIMEOUT or drain.silent else 0


if __name__ == "__main__":
    main()
