#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module vllm_ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_ready
short_description: Wait until a vLLM server answers, or say why it never will
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Waits until an endpoint has answered a real completion. A green health check is not enough, because an engine that
    hangs keeps it green.
  - Watches the container that serves it meanwhile, and fails within a second when its process has died, with the root
    cause found in its log, instead of waiting for the timeout.
  - In a playbook an action plugin of the same name runs this module in slices and prints a line of progress for each,
    such as the shards loaded so far.
requirements:
  - With O(container), a container runtime's command line with C(inspect) and C(logs), and the right to use it.
attributes:
  check_mode:
    support: full
    description:
      - Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Looks once, does not wait and does not fail when there is no server yet.
  diff_mode:
    support: none
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details:
      - Only reads, and asks for one token.
options:
  url:
    description:
      - Address of the endpoint as seen from this host, with or without C(/v1) at the end.
    type: str
    default: http://127.0.0.1:8000
  api_key:
    description:
      - The key of the endpoint. A key that the server refuses ends the wait at once.
    type: str
  api_key_file:
    description:
      - File on this host that holds the key and nothing else, so that the key itself does not travel.
    type: path
  model:
    description:
      - Name under which the model is served.
    type: str
    required: true
  container:
    description:
      - Name of the container that runs the server on this host. Without it only the endpoint is watched, and a server
        that dies is noticed at the timeout only.
    type: str
  docker_cli:
    description:
      - Name or path of the container runtime's command line on this host.
    type: str
    default: docker
  restarts_before:
    description:
      - How often Docker had restarted the container before this wait. More restarts mean that the server has died.
      - Give V(0) for a container that has just been created. Without it the count at the first look is taken.
    type: int
  timeout:
    description:
      - Seconds to wait in all. A large model from a network filesystem can take more than an hour.
    type: float
    default: 3600
  request_timeout:
    description:
      - Seconds that one completion of one token may take. The first one may compile kernels.
    type: float
    default: 60
  answer_timeout:
    description:
      - Seconds between the first green health check and the first answer, after which the engine is said to hang.
    type: float
    default: 300
  interval:
    description:
      - Seconds between two looks.
    type: float
    default: 1
  log_lines:
    description:
      - Number of the container's last log lines to return when it has failed.
    type: int
    default: 60
  validate_certs:
    description:
      - Whether to verify the certificate of an C(https) endpoint.
    type: bool
    default: true
  ca_path:
    description:
      - File with the certificates of the authorities to trust, in PEM form, instead of the host's.
    type: path
  slice:
    description:
      - >-
        Seconds after which the module returns with RV(finished=false) though the wait is not over; V(0) waits in one
        go. The action plugin uses V(10) where it is not given.
    type: float
    default: 0
  resume:
    description:
      - The RV(resume) that the slice before returned. The action plugin passes it on.
    type: dict
    default: {}
seealso:
  - plugin: llmserve.vllm.diagnose_log
    plugin_type: filter
  - module: llmserve.vllm.openai_smoke
"""

EXAMPLES = r"""
- name: Wait until the model answers
  llmserve.vllm.vllm_ready:
    url: http://127.0.0.1:8000
    api_key: "{{ llmserve_api_key }}"
    model: meta-llama/Llama-3.1-405B-Instruct
    container: llmserve-vllm
    restarts_before: 0
    timeout: 7200
  become: true

- name: Wait for a server on another host, whose container cannot be watched
  llmserve.vllm.vllm_ready:
    url: https://llm.example.org
    api_key: "{{ llmserve_api_key }}"
    model: llama
    timeout: 600
  delegate_to: localhost
"""

RETURN = r"""
ready:
  description: Whether a completion came back.
  returned: always
  type: bool
  sample: true
answer:
  description: The C(text) of the completion and the C(seconds) that it took.
  returned: when ready
  type: dict
  sample: {text: ',', seconds: 0.08}
progress:
  description: How far it has come, in one sentence with figures.
  returned: always
  type: str
  sample: 'loading weights: 86 of 191 shards (45 %), 12:41 left'
figures:
  description: >-
    The C(stage) (V(start), V(init), V(placement_group), V(download), V(load), V(compile), V(kv_cache), V(graphs),
    V(api), V(answer)) and its figures, such as C(done), C(total) and C(percent).
  returned: always
  type: dict
  sample: {stage: load, done: 86, total: 191, percent: 45}
diagnosis:
  description: What M(llmserve.vllm.vllm_ready) found in the log, the most probable root cause first.
  returned: on failure
  type: list
  elements: dict
  contains:
    cause:
      description: Stable name of the cause.
      type: str
      sample: unknown_flag
    explanation:
      description: The cause in plain words.
      type: str
    remedy:
      description: What to do.
      type: str
    evidence:
      description: The line of the log.
      type: str
      sample: "vllm: error: unrecognized arguments: --swap-space 16"
reason_kind:
  description: >-
    V(died), V(unauthorized), V(model_not_found), V(bad_response), V(hangs), V(timeout) or V(no_container_runtime).
  returned: on failure
  type: str
  sample: died
log_tail:
  description: The last lines of the container's log.
  returned: on failure
  type: list
  elements: str
elapsed:
  description: Seconds waited so far, those of earlier slices included.
  returned: always
  type: float
  sample: 1260.2
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
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._container import (
    ContainerError,
    ContainerState,
    down_reason,
    inspect,
    last_lines,
    logs,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._diagnose import describe
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import Endpoint, read_key
from ansible_collections.llmserve.vllm.plugins.module_utils._ready import Probe, explain_death, is_final, read_progress
from ansible_collections.llmserve.vllm.plugins.module_utils._wait import (
    FAILED,
    READY,
    TIMEOUT,
    WAITING,
    Look,
    minutes,
    wait_for,
)

# Enough to find the last progress line between the chatter of many workers, and to find a root cause.
PROGRESS_LINES = 400
DIAGNOSIS_LINES = 20000


class ReadyWatch:
    """Looks at the container first: only while it lives is it worth asking the endpoint."""

    def __init__(self, params: dict[str, Any], probe: Probe, patience: float) -> None:
        self.params = params
        self.probe = probe
        self.patience = patience
        self.resume: dict[str, Any] = dict(params["resume"])
        self.state: Optional[ContainerState] = None
        self.began = time.monotonic() - float(self.resume.get("elapsed", 0))
        self.resume.pop("slice", None)

    def look(self, budget: float) -> Look:
        if self.params["container"]:
            try:
                dead = self._container()
            except ContainerError as exc:
                return self._failed("no_container_runtime", str(exc))
            if dead:
                return self._failed("died", dead)
        answer, error = self.probe.ask(min(self.patience, budget))
        if answer is not None:
            facts = {"answer": {"text": answer.text, "seconds": answer.seconds}, "figures": {"stage": "answer"}}
            return Look(READY, "the model answers", dict(facts, ready=True))
        if error is not None and is_final(error):
            return self._failed(error.kind, str(error))
        if self.probe.healthy or (error is None and "healthy_at" in self.resume):
            return self._healthy(str(error) if error else "")
        for key in ("healthy_at", "slice"):
            self.resume.pop(key, None)
        progress = read_progress(self._log(PROGRESS_LINES))
        return Look(
            WAITING, progress.sentence, {"figures": dict(progress.figures, stage=progress.stage), "ready": False}
        )

    def _container(self) -> Optional[str]:
        state = self.state = inspect(self.params["docker_cli"], self.params["container"])
        if "restarts_before" not in self.resume:
            given = self.params["restarts_before"]
            self.resume["restarts_before"] = state.restarts if given is None else given
            # the run that died may be the one before the present one
            fresh = state.restarts <= self.resume["restarts_before"]
            self.resume["since"] = state.started_at if fresh else state.created
        return down_reason(state, self.params["container"], int(self.resume["restarts_before"]))

    def _healthy(self, trouble: str) -> Look:
        now = time.monotonic() - self.began
        waited = now - self.resume.setdefault("healthy_at", now)
        # let the next slice be long enough for a slow first answer
        self.resume["slice"] = self.params["request_timeout"] + 5
        sentence = "the engine is up, waiting {0} for its first answer".format(minutes(waited))
        if trouble:
            sentence += " ({0})".format(trouble.rstrip("."))
        if waited > self.params["answer_timeout"]:
            return self._failed(
                "hangs", "the engine hangs: its health check is green, but " + sentence.split(", ", 1)[1]
            )
        return Look(WAITING, sentence, {"figures": {"stage": "answer", "waited": round(waited)}, "ready": False})

    def _failed(self, kind: str, sentence: str) -> Look:
        return Look(FAILED, sentence, {"reason_kind": kind, "ready": False, "figures": {"stage": kind}})

    def _log(self, lines: int) -> str:
        if not self.params["container"] or self.state is None or not self.state.exists:
            return ""
        return logs(self.params["docker_cli"], self.params["container"], lines, self.resume.get("since", ""))

    def autopsy(self, look: Look, status: str) -> dict[str, Any]:
        """Diagnosis and end of the log of a server that failed, or that did not come up in time."""
        log = self._log(DIAGNOSIS_LINES)
        died = look.facts.get("reason_kind") == "died"
        findings = explain_death(log, self.state if died else None)
        reason = look.sentence.rstrip(".") + "."
        if status == TIMEOUT:
            reason = "the model has not answered within {0}; last seen: {1}".format(
                minutes(self.params["timeout"]), reason
            )
        message = "{0}: {1} {2}".format(self.params["url"], reason, describe(findings)).rstrip()
        if died and not findings:
            message += " Its log has no cause that this collection knows: read log_tail."
        facts = dict(look.facts, diagnosis=findings, log_tail=last_lines(log, self.params["log_lines"]))
        facts.setdefault("reason_kind", "timeout")
        return dict(facts, msg=message)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:8000"},
            "api_key": {"type": "str", "no_log": True},
            "api_key_file": {"type": "path", "no_log": False},
            "model": {"type": "str", "required": True},
            "container": {"type": "str"},
            "docker_cli": {"type": "str", "default": "docker"},
            "restarts_before": {"type": "int"},
            "timeout": {"type": "float", "default": 3600},
            "request_timeout": {"type": "float", "default": 60},
            "answer_timeout": {"type": "float", "default": 300},
            "interval": {"type": "float", "default": 1},
            "log_lines": {"type": "int", "default": 60},
            "validate_certs": {"type": "bool", "default": True},
            "ca_path": {"type": "path"},
            "slice": {"type": "float", "default": 0},
            "resume": {"type": "dict", "default": {}},
        },
        mutually_exclusive=[("api_key", "api_key_file")],
        supports_check_mode=True,
    )
    params = module.params
    try:
        key = params["api_key"] or read_key(params["api_key_file"])
        endpoint = Endpoint(params["url"], key, params["validate_certs"], params["ca_path"] or "")
    except (ValueError, OSError) as exc:
        module.fail_json(msg="Cannot ask {0}: {1}".format(params["url"], exc))
    watch = ReadyWatch(
        params,
        Probe(endpoint, params["model"], params["request_timeout"]),
        # without a second look the first one has to wait for the answer
        patience=10 if module.check_mode or params["timeout"] <= 0 else params["interval"],
    )
    waited = wait_for(
        watch.look,
        timeout=0 if module.check_mode else params["timeout"],
        interval=params["interval"],
        slice_seconds=params["slice"],
        already=float(params["resume"].get("elapsed", 0)),
    )
    result = {
        "changed": False,
        "progress": waited.look.sentence,
        "elapsed": round(waited.elapsed, 1),
        "finished": waited.status != WAITING,
        "resume": dict(watch.resume, elapsed=waited.elapsed),
    }
    if waited.status in (FAILED, TIMEOUT) and not module.check_mode:
        module.fail_json(**dict(result, **watch.autopsy(waited.look, waited.status)))
    module.exit_json(**dict(result, **waited.look.facts))


if __name__ == "__main__":
    main()
