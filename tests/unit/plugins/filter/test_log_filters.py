# SPDX-License-Identifier: GPL-3.0-or-later
"""The two filters over recorded text."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter import diagnose_log, parse_ray_status


def test_they_are_registered() -> None:
    diagnose: Any = diagnose_log.FilterModule().filters()["diagnose_log"]
    parse: Any = parse_ray_status.FilterModule().filters()["parse_ray_status"]
    assert diagnose("vllm: error: unrecognized arguments: --x")[0]["cause"] == "unknown_flag"
    assert parse("No cluster status. It may take a few seconds")["state"] == "no_status_yet"


@pytest.mark.parametrize("text", [None, 1, ["a line"]])
def test_something_that_is_no_text(text: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="needs the text of a log"):
        diagnose_log.diagnose_log(text)
    with pytest.raises(AnsibleFilterError, match="needs the text of `ray status`"):
        parse_ray_status.parse_ray_status(text)
