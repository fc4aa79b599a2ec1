# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the endpoint of this host says of itself: is it healthy, which version, how busy, does it answer.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import time
from typing import Any, Dict

from ansible_collections.llmserve.vllm.plugins.module_utils._metrics import engine_figures
from ansible_collections.llmserve.vllm.plugins.module_utils._openai import ApiError, Endpoint, complete, list_models

_SECONDS = 5.0


def ask_endpoint(endpoint: Endpoint, model: str, answer_seconds: float) -> Dict[str, Any]:
    """All of it. C(answer_seconds) is how long one completion may take; 0 asks for none."""
    facts: Dict[str, Any] = {
        "url": endpoint.url,
        "healthy": False,
        "error": None,
        "error_kind": None,
        "version": None,
        "models": [],
        "figures": {},
        "answer_seconds": None,
    }
    try:
        endpoint.get("/health", _SECONDS)
        facts["healthy"] = True
        facts["version"] = _version(endpoint)
        facts["figures"] = _figures(endpoint)
        facts["models"] = [str(item["id"]) for item in list_models(endpoint, _SECONDS)]
        if answer_seconds > 0:
            name = model or (facts["models"] or [""])[0]
            began = time.monotonic()
            complete(endpoint, name, "Hello", 1, answer_seconds)
            facts["answer_seconds"] = round(time.monotonic() - began, 3)
    except ApiError as exc:
        facts.update(error=str(exc), error_kind=exc.kind)
    return facts


def _version(endpoint: Endpoint) -> Any:
    try:
        return json.loads(endpoint.get("/version", _SECONDS).decode("utf-8", "replace")).get("version")
    except (ApiError, ValueError, AttributeError):
        # a gateway may not pass it on
        return None


def _figures(endpoint: Endpoint) -> Dict[str, float]:
    try:
        return engine_figures(endpoint.get("/metrics", _SECONDS).decode("utf-8", "replace"))
    except ApiError:
        return {}
