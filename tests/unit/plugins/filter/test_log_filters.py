# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters over recorded text."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter import diagnose_log, parse_ray_status, redact


def test_they_are_registered() -> None:
    diagnose: Any = diagnose_log.FilterModule().filters()["diagnose_log"]
    parse: Any = parse_ray_status.FilterModule().filters()["parse_ray_status"]
    clean: Any = redact.FilterModule().filters()["redact"]
    assert diagnose("vllm: error: unrecognized arguments: --x")[0]["cause"] == "unknown_flag"
    assert parse("No cluster status. It may take a few seconds")["state"] == "no_status_yet"
    assert clean("a s3cr3t", ["s3cr3t", None, ""]) == "a <redacted>"
    assert clean("HF_TOKEN=abcdef") == "HF_TOKEN=<redacted>"


def test_several_logs_by_name() -> None:
    found = diagnose_log.diagnose_log({"one": "INFO: well", "two": "vllm: error: unrecognized arguments: --x"})
    assert [(item["cause"], item["log"]) for item in found] == [("unknown_flag", "two")]


@pytest.mark.parametrize("text", [None, 1, ["a line"], {"one": 1}])
def test_something_that_is_no_text(text: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="needs the text of a log"):
        diagnose_log.diagnose_log(text)
    with pytest.raises(AnsibleFilterError, match="needs the text of `ray status`"):
        parse_ray_status.parse_ray_status(text)
    with pytest.raises(AnsibleFilterError, match="needs a text"):
        redact.redact_text(text)


def test_secrets_are_a_list() -> None:
    wrong: Any = "s3cr3t"
    with pytest.raises(AnsibleFilterError, match="secrets as a list"):
        redact.redact_text("a s3cr3t", wrong)
