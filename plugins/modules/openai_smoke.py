#!/usr/bin/python
# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module openai_smoke."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openai_smoke
short_description: Ask an OpenAI-compatible endpoint real questions
version_added: "0.1.0"
author:
  - "The llmserve.vllm authors (@llmserve)"
description:
  - Lists the models of an OpenAI-compatible endpoint, then asks for a completion, a chat completion and a streamed chat
    completion, and measures the time to the first token and the tokens per second.
  - Every request has a deadline, so that an engine that hangs is found out; RV(reason_kind) tells the failures apart.
attributes:
  check_mode:
    support: full
    description:
      - Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Changes nothing, so it asks the endpoint in check mode as well.
  diff_mode:
    support: none
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details:
      - Only asks.
options:
  url:
    description:
      - Address of the endpoint, with or without C(/v1) at the end, for example C(http://10.0.0.11:8000).
    type: str
    required: true
  api_key:
    description:
      - The key of the endpoint, sent as a bearer token. Leave it out for an endpoint without one.
    type: str
  api_key_file:
    description:
      - File on this host that holds the key and nothing else, so that the key itself does not travel.
    type: path
  model:
    description:
      - Name under which the model is served. Without it the first model of the endpoint is asked.
    type: str
  checks:
    description:
      - What to do, in the order of this list of choices.
      - V(models) expects O(model) in C(/v1/models).
      - V(auth) expects that C(/v1/models) refuses a request without a key; it needs O(api_key).
      - V(completion) expects text from C(/v1/completions).
      - V(chat) expects text from C(/v1/chat/completions); a base model without a chat template cannot do it.
      - V(stream) expects the same as server-sent events.
    type: list
    elements: str
    choices:
      - models
      - auth
      - completion
      - chat
      - stream
    default:
      - models
      - completion
      - chat
      - stream
  chat_prompt:
    description:
      - Question for V(chat) and V(stream).
    type: str
    default: Where was the 2020 World Series played?
  completion_prompt:
    description:
      - Text to continue for V(completion).
    type: str
    default: San Francisco is a
  max_tokens:
    description:
      - Most tokens to generate for each question.
    type: int
    default: 64
  expect:
    description:
      - Regular expression that the answer of V(chat) must contain, regardless of case. Without it any text will do.
    type: str
  timeout:
    description:
      - Seconds that each single request may take until its last byte.
    type: float
    default: 120
  validate_certs:
    description:
      - Whether to verify the certificate of an C(https) endpoint.
    type: bool
    default: true
  ca_path:
    description:
      - File with the certificates of the authorities to trust, in PEM form, instead of the host's.
    type: path
"""

EXAMPLES = r"""
- name: Ask the new endpoint
  llmserve.vllm.openai_smoke:
    url: http://10.0.0.11:8000
    api_key: "{{ llmserve_api_key }}"
    model: meta-llama/Llama-3.1-405B-Instruct
    expect: Arlington|Texas
  register: smoke

- name: Ask a base model, which cannot chat
  llmserve.vllm.openai_smoke:
    url: http://10.0.0.11:8000
    checks:
      - models
      - completion
"""

RETURN = r"""
model:
  description: The model that was asked.
  returned: when the endpoint listed its models
  type: str
  sample: meta-llama/Llama-3.1-405B-Instruct
models:
  description: All model names of the endpoint.
  returned: when the endpoint listed its models
  type: list
  elements: str
  sample: [meta-llama/Llama-3.1-405B-Instruct]
max_model_len:
  description: Context length of the model, where the server says it.
  returned: when the endpoint listed its models
  type: int
  sample: 131072
passed:
  description: Checks that have passed so far.
  returned: always
  type: list
  elements: str
  sample: [models, completion, chat, stream]
completion:
  description: >-
    The completion's C(text), C(prompt_tokens), C(completion_tokens), C(finish_reason) and C(seconds).
  returned: when asked for and passed
  type: dict
  sample: {text: ' city of contrasts', prompt_tokens: 5, completion_tokens: 64, finish_reason: length, seconds: 1.9}
chat:
  description: The same of the chat completion.
  returned: when asked for and passed
  type: dict
  sample: {text: 'It was played in Arlington, Texas.', prompt_tokens: 46, completion_tokens: 9, finish_reason: stop,
           seconds: 0.4}
stream:
  description: >-
    The streamed C(text), C(ttft_seconds) (time to the first token), C(tokens_per_second) after it (null when there was
    one token), C(completion_tokens) as the server counts them, C(chunks) and C(seconds).
  returned: when asked for and passed
  type: dict
  sample: {text: 'It was played in Arlington, Texas.', ttft_seconds: 0.09, tokens_per_second: 31.5,
           completion_tokens: 9, chunks: 9, seconds: 0.4}
check:
  description: The check that failed.
  returned: on failure
  type: str
  sample: chat
reason_kind:
  description: >-
    V(model_not_found), V(empty_answer), V(unexpected_answer), V(unauthorized), V(unprotected), V(timeout),
    V(connection_refused), V(connection_failed), V(server_error) or V(bad_response).
  returned: on failure
  type: str
  sample: model_not_found
"""

import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import (
    UNAUTHORIZED,
    ApiError,
    Endpoint,
    chat,
    complete,
    list_models,
    read_key,
    served_model,
    stream_chat,
)

CHECKS = ("models", "auth", "completion", "chat", "stream")


class Smoke:
    """One method for each check; what they find out is collected in C(found)."""

    def __init__(self, endpoint: Endpoint, params: dict[str, Any]) -> None:
        self.endpoint = endpoint
        self.params = params
        self.found: dict[str, Any] = {"passed": []}
        self.model = params["model"] or ""

    def models(self) -> None:
        models = list_models(self.endpoint, self.params["timeout"])
        self.found["models"] = [str(entry["id"]) for entry in models]
        entry = served_model(models, self.model, self.endpoint.url)
        self.model = self.found["model"] = str(entry["id"])
        self.found["max_model_len"] = entry.get("max_model_len")

    def auth(self) -> None:
        stranger = Endpoint(self.endpoint.url, "", self.params["validate_certs"], self.params["ca_path"] or "")
        try:
            stranger.get("/v1/models", self.params["timeout"])
        except ApiError as exc:
            if exc.kind == UNAUTHORIZED:
                return
            raise
        message = "{0} answers without a key, though one was given: start the server with its API key."
        raise ApiError("unprotected", message.format(self.endpoint.url + "/v1/models"))

    def completion(self) -> None:
        self.found["completion"] = complete(self.endpoint, *self._question("completion_prompt"))._asdict()

    def chat(self) -> None:
        answer = chat(self.endpoint, *self._question("chat_prompt"))
        expect = self.params["expect"]
        if expect and not re.search(expect, answer.text, re.IGNORECASE):
            message = "{0} answered {1!r}, in which nothing matches the expected {2!r}."
            raise ApiError("unexpected_answer", message.format(self.model, answer.text[:300], expect))
        self.found["chat"] = answer._asdict()

    def stream(self) -> None:
        self.found["stream"] = stream_chat(self.endpoint, *self._question("chat_prompt"))._asdict()

    def _question(self, prompt: str) -> tuple[str, str, int, float]:
        if not self.model:
            self.models()
        return self.model, self.params[prompt], self.params["max_tokens"], self.params["timeout"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "api_key": {"type": "str", "no_log": True},
            "api_key_file": {"type": "path", "no_log": False},
            "model": {"type": "str"},
            "checks": {
                "type": "list",
                "elements": "str",
                "choices": list(CHECKS),
                "default": ["models", "completion", "chat", "stream"],
            },
            "chat_prompt": {"type": "str", "default": "Where was the 2020 World Series played?"},
            "completion_prompt": {"type": "str", "default": "San Francisco is a"},
            "max_tokens": {"type": "int", "default": 64, "no_log": False},
            "expect": {"type": "str"},
            "timeout": {"type": "float", "default": 120},
            "validate_certs": {"type": "bool", "default": True},
            "ca_path": {"type": "path"},
        },
        mutually_exclusive=[("api_key", "api_key_file")],
        supports_check_mode=True,
    )
    params = module.params
    if "auth" in params["checks"] and not (params["api_key"] or params["api_key_file"]):
        module.fail_json(
            msg="The check auth compares an answer with a key and one without: give api_key or api_key_file."
        )
    try:
        re.compile(params["expect"] or "")
        key = params["api_key"] or read_key(params["api_key_file"])
        if key:
            # a key from a file is as secret as one from the task
            module.no_log_values.add(key)
        endpoint = Endpoint(params["url"], key, params["validate_certs"], params["ca_path"] or "")
    except (ValueError, OSError, re.error) as exc:
        module.fail_json(msg="Cannot ask {0}: {1}".format(params["url"], exc))
    smoke = Smoke(endpoint, params)
    for name in CHECKS:
        if name not in params["checks"]:
            continue
        try:
            getattr(smoke, name)()
        except ApiError as exc:
            message = "Smoke test '{0}' failed: {1}".format(name, exc)
            module.fail_json(msg=message, check=name, reason_kind=exc.kind, **smoke.found)
        smoke.found["passed"].append(name)
    module.exit_json(changed=False, **smoke.found)


if __name__ == "__main__":
    main()
