# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults put into the nodes for real: preflight names each of them by the check that is meant for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.llmserve.vllm.tests.preflight.batches import BATCHES
from ansible_collections.llmserve.vllm.tests.preflight.faults import FAULTS
from ansible_collections.llmserve.vllm.tests.preflight.sandbox import BOTH, Batch, Real

from tests.e2e.conftest import Operator, Run

BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.fixture(scope="module", autouse=True)
def _nothing_deployed(sandbox: Operator) -> None:
    # what room an image takes is asked where there is none
    sandbox.playbook("stop", "-e", "purge=true", "-e", "purge_verified=true").ok()
    sandbox.on("llm_nodes", "docker images --quiet | sort -u | xargs --no-run-if-empty docker rmi --force; true")


@contextmanager
def injected(sandbox: Operator, batch: Batch, subnet: str) -> Iterator[None]:
    """The faults are there, and gone again whatever happens."""

    def scripts(way: str, host: str) -> list[str]:
        ways = [getattr(real.ways, way).get(host, "") for real in batch.faults]
        return [f"({script})".replace("SUBNET", subnet) for script in ways if script]

    try:
        for host in BOTH:
            if scripts("do", host):
                sandbox.on(host, " && ".join(scripts("do", host)))
        yield
    finally:
        for host in BOTH:
            if scripts("undo", host):
                sandbox.on(host, "; ".join([*reversed(scripts("undo", host)), "true"]))


def preflight(sandbox: Operator, tmp_path: Path, faults: tuple[Real, ...]) -> tuple[Run, dict[str, Any]]:
    hosts: dict[str, dict[str, Any]] = {}
    variables: dict[str, Any] = {}
    for real in faults:
        variables.update(real.variables)
        for host, values in real.host_variables.items():
            hosts.setdefault(host, {}).update(values)
    more = tmp_path / "faults.yml"
    more.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    report = tmp_path / "preflight.json"
    extra = json.dumps({**variables, "preflight_report_file": str(report)})
    run = sandbox.playbook("preflight", "-i", str(more), "-e", extra)
    assert report.exists(), run.output
    return run, json.loads(report.read_text())


@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: batch.name)
def test_faults_are_found_by_name(sandbox: Operator, tmp_path: Path, batch: Batch) -> None:
    subnet = str(sandbox.hostvars("node1")["ansible_host"]).rpartition(".")[0]
    with injected(sandbox, batch, subnet):
        run, report = preflight(sandbox, tmp_path, batch.faults)
    expected = {(host, BY_NAME[real.name].check) for real in batch.faults for host in real.hosts}
    found = {(row["host"], row["check"]) for row in report["rows"] if row["check"] not in batch.also}
    assert found == expected, run.output
    for real in batch.faults:
        fault = BY_NAME[real.name]
        mends = [row["mend"] for row in report["rows"] if row["check"] == fault.check]
        assert any(word in mend for mend in mends for word in (fault.mend, *_long_words(fault.mend))), mends
        assert fault.check in run.text
    assert run.changed == 0
    assert (run.rc == 0) is (report["errors"] == 0), run.output
    assert "s3cret" not in run.output
    shown = run.output.partition("Preflight on 2 hosts")[2].partition("\nok: ")[0].splitlines()
    assert max(map(len, shown)) <= 80, run.output


def _long_words(words: str) -> list[str]:
    # figures and names in the table of faults are those of its cluster
    return [word for word in words.split() if len(word) > 4]


def test_a_check_can_be_switched_off_with_a_reason_only(sandbox: Operator) -> None:
    for checks, words in (
        ({"clock": {"severity": "off"}}, "takes a reason"),
        ({"clok": "warning"}, "did you mean clock?"),
    ):
        run = sandbox.playbook("preflight", "-e", json.dumps({"preflight_checks": checks, "preflight_report_file": ""}))
        assert run.rc != 0
        assert words in run.text, run.output
    off = {"variable_names": {"severity": False, "reason": "a name for later"}}
    arguments = {"preflight_checks": off, "llmserve_modle": "x", "preflight_report_file": ""}
    run = sandbox.playbook("preflight", "-e", json.dumps(arguments)).ok()
    assert "Switched off: variable_names (a name for later), 2 finding(s) not shown" in run.text


# the first host asks the Hub for all, and has the others connect
@pytest.mark.parametrize("host", ["node1", "node2"])
def test_a_host_that_does_not_answer_is_one_row_of_the_table(sandbox: Operator, tmp_path: Path, host: str) -> None:
    gone = Real("ssh_does_not_answer", (host,), host_variables={host: {"ansible_host": "192.0.2.1"}})
    own = Real("", (), host_variables={host: {"llmserve_node_ip": "192.0.2.1"}}, variables={"ansible_timeout": 3})
    run, report = preflight(sandbox, tmp_path, (gone, own))
    assert run.rc != 0
    assert [(row["host"], row["check"]) for row in report["rows"]] == [(host, "unreachable")], run.output


def test_json_for_machines(sandbox: Operator) -> None:
    run = sandbox.playbook("preflight", "-e", "preflight_format=json", "-e", "preflight_report_file=").ok()
    begin = run.output.index("\n{\n") + 1
    report = json.loads(run.output[begin : run.output.index("\n}\n", begin) + 2])
    assert report["rows"] == []
    assert report["network"]["node1"]["env"]["NCCL_SOCKET_IFNAME"] == "eth0"
