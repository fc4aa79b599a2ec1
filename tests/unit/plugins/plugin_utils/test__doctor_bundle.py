# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive for a bug report."""

from __future__ import annotations

import io
import json
import tarfile

from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor import report
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_bundle import bundle_files, pack, safe_name
from ansible_collections.llmserve.vllm.plugins.plugin_utils._doctor_screen import doctor_screen
from ansible_collections.llmserve.vllm.tests.unit.plugins.doctor_hosts import head, worker

HOSTS = [
    head(texts={"llmserve-vllm": "INFO ready\nHF_TOKEN=hf_abcdefghijklmnopqrst", "kernel": "x"}),
    worker(),
    {"name": "node3", "facts": {}, "unreachable": "no route"},
]


def files() -> dict[str, str]:
    found = report(HOSTS)
    return bundle_files(doctor_screen(found), found, HOSTS)


def test_report_facts_and_logs_are_in_it() -> None:
    assert sorted(files()) == [
        "README",
        "node1/facts.json",
        "node1/kernel.log",
        "node1/llmserve-vllm.log",
        "node2/facts.json",
        "node3/facts.json",
        "report.json",
        "report.txt",
    ]
    assert "texts" not in json.loads(files()["node1/facts.json"])
    assert json.loads(files()["node3/facts.json"])["unreachable"] == "no route"


def test_what_looks_like_a_secret_is_taken_out_once_more() -> None:
    assert files()["node1/llmserve-vllm.log"] == "INFO ready\nHF_TOKEN=<redacted>\n"


def test_everything_lies_in_one_folder_for_its_owner_only() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(files(), "report", 1795255200)), mode="r:gz") as archive:
        members = archive.getmembers()
        assert {member.name.partition("/")[0] for member in members} == {"report"}
        assert {member.mode for member in members} == {0o600}
        text = archive.extractfile("report/report.txt")
        assert text
        assert text.read().startswith(b"Doctor: ")


def test_names_lead_nowhere_else() -> None:
    assert safe_name("../../etc/passwd") == "_.._etc_passwd"
    assert safe_name("gpu-1.example.org") == "gpu-1.example.org"
    assert safe_name("..") == "_"
