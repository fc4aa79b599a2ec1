#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.serving_unit."""

from __future__ import annotations

DOCUMENTATION = r"""
module: serving_unit
short_description: A systemd unit that serves, running with its present files
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Does for a systemd unit what M(community.docker.docker_container) does for a container - writes its definition,
    starts it, and starts it anew when it runs with another one.
  - A process that is older than its unit, its environment or one of its secrets is restarted, whoever wrote them. A
    run that was cut off between writing and restarting is so mended by the next one.
  - The environment goes into a file that root alone can read, since it may hold secrets. It is not shown as a
    difference.
attributes:
  check_mode:
    description: Can run in C(check_mode) and predict the changes without making them.
    support: full
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
    support: full
    details: Shows the unit, and not its environment.
  idempotent:
    description: A second run with the same arguments reports no change.
    support: full
options:
  name:
    description: Name of the unit, without C(.service).
    type: str
    required: true
  state:
    description:
      - V(started) writes the files and has the unit run with them, now and after a reboot. V(stopped) leaves the files
        and takes it out of the next boot. V(absent) stops it and removes its files.
    type: str
    choices: [started, stopped, absent]
    default: started
  unit:
    description: Content of the unit's file. Required for V(started).
    type: str
  environment:
    description: Environment variables for the file that the unit names in C(EnvironmentFile=).
    type: dict
    default: {}
  environment_file:
    description: That file, mode V(0600). Required for V(started), and removed with V(absent).
    type: path
  secret_files:
    description: >-
      Files that the unit reads when it starts, such as those of C(LoadCredential=). A younger one means a restart.
    type: list
    elements: path
    default: []
  stop_seconds:
    description: How long stopping may take before the call of C(systemctl) is given up.
    type: int
    default: 120
seealso:
  - module: llmserve.vllm.vllm_ready
"""

EXAMPLES = r"""
- name: Run the engine
  llmserve.vllm.serving_unit:
    name: llmserve-vllm
    unit: "{{ lookup('ansible.builtin.template', 'serving.service.j2') }}"
    environment: {HF_HUB_OFFLINE: "1"}
    environment_file: /etc/llmserve/vllm.env
    secret_files: [/etc/llmserve/api_key]
  become: true

- name: Take it away
  llmserve.vllm.serving_unit:
    name: llmserve-vllm
    state: absent
    environment_file: /etc/llmserve/vllm.env
  become: true
"""

RETURN = r"""
steps:
  description: What C(systemctl) was, or would be, asked to do, in this order.
  returned: success
  type: list
  elements: str
  sample: [daemon-reload, enable, restart]
written:
  description: The files that were, or would be, written or removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/systemd/system/llmserve-vllm.service]
"""

import os
from typing import Any, Dict, List, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._container import ContainerError, run_cli
from ansible_collections.llmserve.vllm.plugins.module_utils._holders import UNIT_DIR
from ansible_collections.llmserve.vllm.plugins.module_utils._host import read_text
from ansible_collections.llmserve.vllm.plugins.module_utils._unit import show, unit_name
from ansible_collections.llmserve.vllm.plugins.module_utils._unit_file import UnitFileError, environment_text
from ansible_collections.llmserve.vllm.plugins.module_utils._unit_state import (
    ABSENT,
    STARTED,
    STATES,
    File,
    Step,
    differing,
    newest,
    seen_in,
    steps,
)


def files_of(params: Dict[str, Any], folder: str) -> List[File]:
    """The files of the unit as they are to be; none where they are left alone."""
    path = os.path.join(folder, unit_name(params["name"]))
    environment = params["environment_file"]
    if params["state"] == STARTED:
        text = environment_text(params["environment"])
        return [File(environment, text, 0o600), File(path, params["unit"], 0o644)]
    if params["state"] == ABSENT:
        return [File(path, None, 0), *([File(environment, None, 0)] if environment else [])]
    return []


def write(file: File) -> None:
    """In one step, and never readable for more than it is to be."""
    if file.text is None:
        os.unlink(file.path)
        return
    staged = "{0}.{1}.tmp".format(file.path, os.getpid())
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as handle:
        handle.write(file.text)
    os.chmod(staged, file.mode)
    os.replace(staged, file.path)


def systemctl(step: Step, unit: str, seconds: float) -> Optional[str]:
    """Why it failed, or None."""
    argv = ["systemctl", step.word] + ([] if step.word == "daemon-reload" else [unit])
    done = run_cli(argv, seconds)
    if done.rc == 0 or step.word == "reset-failed":
        # a unit that was never started has nothing to reset
        return None
    words = (done.stderr or done.stdout).strip()[-500:] or "no message"
    return "`{0}` failed with rc {1}: {2}. See `journalctl --unit {3}` on this host.".format(
        " ".join(argv), done.rc, words, unit
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": list(STATES), "default": STARTED},
            "unit": {"type": "str"},
            "environment": {"type": "dict", "default": {}, "no_log": True},
            "environment_file": {"type": "path"},
            "secret_files": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "stop_seconds": {"type": "int", "default": 120},
        },
        required_if=[("state", STARTED, ["unit", "environment_file"])],
        supports_check_mode=True,
    )
    params = module.params
    unit = unit_name(params["name"])
    path = os.path.join(UNIT_DIR, unit)
    try:
        files = files_of(params, UNIT_DIR)
        changed_files = differing(files)
        look = show(params["name"])
    except (UnitFileError, ContainerError) as exc:
        module.fail_json(msg="{0}: {1}".format(unit, exc))
        return
    before = read_text(path) or ""
    written = newest([file.path for file in files] + params["secret_files"])
    planned = steps(params["state"], seen_in(look.properties, look.started), bool(changed_files), written)
    result: Dict[str, Any] = {
        "changed": bool(changed_files) or any(step.is_change for step in planned),
        "steps": [step.word for step in planned],
        "written": [file.path for file in changed_files],
        "diff": {
            "before_header": path,
            "after_header": path,
            "before": before,
            "after": before if params["state"] not in (STARTED, ABSENT) else params["unit"] or "",
        },
    }
    if params["state"] == ABSENT:
        result["diff"]["after"] = ""
    if not module.check_mode:
        carry_out(module, changed_files, planned, unit)
    module.exit_json(**result)


def carry_out(module: AnsibleModule, files: List[File], planned: List[Step], unit: str) -> None:
    """What is to go is stopped before its files are removed; what is to come has its files first."""
    absent = module.params["state"] == ABSENT
    after = [Step("daemon-reload"), Step("reset-failed")] if absent and files else []
    try:
        if not absent:
            for file in files:
                write(file)
        for number, step in enumerate([*planned, *after]):
            if absent and number == len(planned):
                for file in files:
                    write(file)
            problem = systemctl(step, unit, module.params["stop_seconds"] + 60)
            if problem:
                module.fail_json(msg=problem, steps=[item.word for item in planned])
    except OSError as exc:
        module.fail_json(msg="{0}: {1}".format(exc.filename or unit, exc.strerror))


if __name__ == "__main__":
    main()
