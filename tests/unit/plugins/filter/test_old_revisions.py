# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter llmserve.vllm.old_revisions."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmserve.vllm.plugins.filter import old_revisions as plugin

FILTER = plugin.FilterModule().filters()["old_revisions"]


def test_options_as_a_role_gives_them() -> None:
    assert FILTER({"n1": {}}, keep="2", shared="false") == {
        "remove": [],
        "kept": [],
        "unknown": ["n1"],
        "screen": "Nothing to remove: 0 revisions on 0 hosts, and none can go.",
    }


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (["n1"], {}, "by name of the host"),
        ({"n1": None}, {}, "by name of the host"),
        ({}, {"keep": "many"}, "keep is a number"),
        ({}, {"shared": "perhaps"}, "shared true or false"),
        ({}, {"keep": -1}, "cannot be less than 0"),
    ],
)
def test_errors_are_filter_errors(given: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        FILTER(given, **options)
