#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module llmserve.vllm.engine_flags."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_flags
short_description: The arguments that the vLLM in an image or a virtual environment accepts
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Runs C(vllm serve --help=all) in a container image and returns the flags that it names, for the filter
    P(llmserve.vllm.vllm_args#filter). This takes half a minute, so the answer is remembered in O(state_dir) by the
    image's identifier, and the same image is not asked again.
  - The container has no network and is removed. The image has to be on the host; it is not pulled.
  - With O(venv), the vLLM of a virtual environment is asked in the same way, as O(user) and with the name of its
    directory as identifier.
  - An image that does not answer is a warning, and RV(flags) is empty, so that what the collection itself knows of the
    release decides.
attributes:
  check_mode:
    description: Can run in C(check_mode) and predict the changes without making them.
    support: full
    details: An image that is on the host is asked then, too, but the answer is not remembered.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
    support: none
  idempotent:
    description: A second run with the same arguments reports no change.
    support: full
options:
  image:
    description:
      - Name of the image. Either this or O(venv) is required.
    type: str
  venv:
    description:
      - Directory of a virtual environment with vLLM, instead of O(image).
    type: path
  user:
    description:
      - The user, and the group of the same name, to run the vLLM of O(venv) as.
    type: str
    default: llmserve
  state_dir:
    description:
      - Directory on the host for the answers, one file of about 160 KiB for each image, mode V(0644). It is made where
        it is missing.
    type: path
    required: true
  gpus:
    description:
      - Give the container the GPUs of the host. Some releases of vLLM print no help on a machine without one.
    type: bool
    default: true
  timeout:
    description:
      - Seconds that the answer may take.
    type: float
    default: 300
  docker_cli:
    description:
      - The Docker client, a path or a name.
    type: str
    default: docker
seealso:
  - plugin: llmserve.vllm.vllm_args
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Ask the image for its arguments, once
  llmserve.vllm.engine_flags:
    image: vllm/vllm-openai:v0.33.0
    state_dir: /var/lib/llmserve/engine_flags
  register: engine

- name: Show the arguments that vLLM gets
  ansible.builtin.debug:
    msg: "{{ llmserve_engine_args | llmserve.vllm.vllm_args(version=engine.vllm_version, accepted=engine.flags) }}"
"""

RETURN = r"""
flags:
  description:
    - By the flag's name without dashes, its C(kind) and, where only some words are taken, C(choices). A kind is
      C(switch), C(on_only), C(optional), C(many), C(choice), C(json) or, for any other single value, C(str).
    - Empty when the image did not answer, and in check mode when it is not on the host.
  returned: success
  type: dict
  sample: {enforce-eager: {kind: switch}, dtype: {kind: choice, choices: [auto, bfloat16]}}
vllm_version:
  description: The version of vLLM in the image, empty when it did not say.
  returned: success
  type: str
  sample: 0.33.0
image_id:
  description: The identifier of the image on this host, empty in check mode when it is not there.
  returned: success
  type: str
  sample: sha256:4cbb8b2f1a35c1b8f5f0c3b1e0b3b1c9a6f1b7e8a9d0c1e2f3a4b5c6d7e8f901
path:
  description: The file with the remembered answer, empty when there is none.
  returned: success
  type: str
  sample: /var/lib/llmserve/engine_flags/sha256-4cbb8b2f1a35c1b8f5f0c3b1e0b3b1c9a6f1b7e8a9d0c1e2f3a4b5c6d7e8f901.json
asked:
  description: Whether the image has been run for the answer.
  returned: success
  type: bool
  sample: false
reason_kind:
  description: V(docker), V(image_missing) or V(io) on failure; V(no_answer) when there is a warning instead.
  returned: on failure, and when the image did not answer
  type: str
  sample: image_missing
"""

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils import _engine_flags
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_help import to_json


def look_up(question: _engine_flags.Question, state_dir: str, check_mode: bool) -> Dict[str, Any]:
    """The module's result, from memory or from the image."""
    identifier = _engine_flags.image_id(question)
    if identifier is None and check_mode:
        # a real run would have it pulled before
        return {"changed": True, "flags": {}, "vllm_version": "", "image_id": "", "path": "", "asked": False}
    if identifier is None:
        what, mend = ("environment", "make") if question.venv else ("image", "pull or build")
        raise _engine_flags.FlagsError(
            "image_missing", "This host has no {0} {1}: {2} it first.".format(what, question.asked, mend)
        )
    path = _engine_flags.path_of(state_dir, identifier)
    answer = _engine_flags.recall(path)
    asked = answer is None
    if answer is None:
        answer = _engine_flags.ask(question)
        if not check_mode:
            _engine_flags.remember(path, question, identifier, answer)
    return {
        "changed": asked,
        "flags": to_json(answer.flags),
        "vllm_version": answer.version,
        "image_id": identifier,
        "path": "" if asked and check_mode else path,
        "asked": asked,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str"},
            "venv": {"type": "path"},
            "user": {"type": "str", "default": "llmserve"},
            "state_dir": {"type": "path", "required": True},
            "gpus": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 300},
            "docker_cli": {"type": "str", "default": "docker"},
        },
        required_one_of=[("image", "venv")],
        mutually_exclusive=[("image", "venv")],
        supports_check_mode=True,
    )
    params = module.params
    question = _engine_flags.Question(
        params["docker_cli"],
        params["image"] or "",
        params["gpus"],
        params["timeout"],
        venv=params["venv"] or "",
        user=params["user"],
    )
    try:
        result = look_up(question, params["state_dir"], module.check_mode)
    except _engine_flags.FlagsError as exc:
        if exc.kind != "no_answer":
            module.fail_json(msg=str(exc), reason_kind=exc.kind)
        module.warn("{0} The arguments are checked against what is known of its release.".format(exc))
        result = {"changed": False, "flags": {}, "vllm_version": "", "image_id": "", "path": "", "asked": True}
        result["reason_kind"] = exc.kind
    except OSError as exc:
        module.fail_json(msg="{0}: {1}".format(exc.filename or params["state_dir"], exc.strerror), reason_kind="io")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
