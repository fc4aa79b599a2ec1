# SPDX-License-Identifier: GPL-3.0-or-later
"""What may go from the disks of several hosts, and how that looks on a terminal."""

from __future__ import annotations

from typing import Any

from ansible_collections.llmserve.vllm.plugins.plugin_utils._old_revisions import WIDTH, old_revisions

A, B, C, D = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
MODEL = "meta-llama/Llama-3.1-405B-Instruct"
SIZE = 811_600_000_000


def revision(commit: str, day: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "commit": commit,
        "path": f"/hf/hub/models--x/snapshots/{commit}",
        "refs": [],
        "wanted": False,
        "in_use": [],
        "complete": True,
        "bytes_total": SIZE,
        "bytes_freed": SIZE,
        "last_modified": f"2026-01-{day:02}T03:04:05Z",
        "last_accessed": f"2026-02-{day:02}T03:04:05Z",
        "problems": [],
        **more,
    }


def model(*revisions: dict[str, Any], repo_id: str = MODEL, **more: Any) -> dict[str, Any]:
    return {"repo_id": repo_id, "revisions": list(revisions), "job": "", "problems": [], **more}


def host(*models: dict[str, Any], identity: str = "", in_use: dict[str, list[str]] | None = None) -> dict[str, Any]:
    return {"models": list(models), "identity": identity, "problems": [], "in_use": in_use or {}}


def gone(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["host"], item["commit"][0]) for item in found["remove"]]


def reasons(found: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(item["host"], item["commit"][0]): item["why"] for item in found["kept"]}


def test_what_nothing_leads_to_is_old() -> None:
    found = old_revisions(
        {
            "n1": host(
                model(revision(A), revision(B, refs=["main"]), revision(C, wanted=True), revision(D, complete=False))
            )
        }
    )
    assert gone(found) == [("n1", "d"), ("n1", "a")]
    assert (found["kept"], found["unknown"]) == ([], [])
    assert found["remove"][0]["repo_id"] == MODEL
    assert [item["id"] for item in found["remove"]] == [f"n1 {MODEL} {D}", f"n1 {MODEL} {A}"]


def test_what_one_host_serves_stays_on_all() -> None:
    used = {A: ["container llmserve-vllm", "process 812 (python3)"]}
    # the container's cache may even be elsewhere on the first host
    hosts = {"n1": host(in_use=used), "n2": host(model(revision(A), revision(B)))}
    found = old_revisions(hosts)
    assert gone(found) == [("n2", "b")]
    assert reasons(found) == {("n2", "a"): "in use by container llmserve-vllm on n1"}


def test_a_host_that_said_nothing_is_named() -> None:
    found = old_revisions({"n1": host(model(revision(A))), "n2": {}, "n3": {"failed": True, "msg": "unreachable"}})
    assert found["unknown"] == ["n2", "n3"]


def test_jobs_and_damage_spare_the_model_and_no_other() -> None:
    other = model(revision(D), repo_id="acme/other")
    running = old_revisions({"n1": host(model(revision(A), revision(B), job="2026-x"), other)})
    assert gone(running) == [("n1", "d")]
    assert set(reasons(running).values()) == {"a download of the model runs (job 2026-x)"}
    damaged = old_revisions({"n1": host(model(revision(A), problems=["x leads nowhere: mend it."]), other)})
    assert gone(damaged) == [("n1", "d")]
    assert reasons(damaged) == {("n1", "a"): "the cache is damaged: x leads nowhere: mend it."}


def test_a_renamed_model_is_judged_by_its_own_refs() -> None:
    found = old_revisions({"n1": host(model(revision(A)), model(revision(A, refs=["main"]), repo_id="acme/new"))})
    assert [(item["repo_id"], item["commit"]) for item in found["remove"]] == [(MODEL, A)]


def test_the_newest_complete_ones_are_spared() -> None:
    revisions = [revision(A, 3), revision(B, 5, complete=False), revision(C, 4), revision(D, 2)]
    two = host(model(*revisions), model(revision("e" * 40), repo_id="acme/other"))
    assert gone(old_revisions({"n1": host(model(*revisions))}, keep=2)) == [("n1", "d"), ("n1", "b")]
    # of each model, and half a download is nothing to go back to
    assert gone(old_revisions({"n1": two}, keep=3)) == [("n1", "b")]


def test_a_shared_directory_is_worked_on_once() -> None:
    def both(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
        return {"n1": host(first, identity="7-1"), "n2": host(second, identity="7-1")}

    assert gone(old_revisions(both(model(revision(A)), model(revision(A))))) == [("n1", "a")]
    # each of them has a say
    assert gone(old_revisions(both(model(revision(A)), model(revision(A, wanted=True))))) == []
    assert gone(old_revisions(both(model(revision(A)), model(revision(A), job="one")))) == []
    apart = {"n1": host(model(revision(A)), identity="7-1"), "n2": host(model(revision(A)), identity="8-1")}
    assert gone(old_revisions(apart)) == [("n1", "a"), ("n2", "a")]
    assert gone(old_revisions(apart, shared=True)) == [("n1", "a")]
    # two that have no directory share nothing
    none = old_revisions({"n1": host(), "n2": host()})
    assert none["screen"] == "Nothing to remove: 0 revisions on 2 hosts, and none can go."


def test_the_table() -> None:
    first = host(model(revision(A, 1), revision(B, 2, bytes_freed=9_000_000)))
    found = old_revisions({"node-001": first, "node-002": host(model(revision(A, 3)))})
    assert found["screen"].splitlines() == [
        "HOST         MODEL                            COMMIT        LAST USED      FREES",
        "node-001 +1  meta-llama/Lla..1-405B-Instruct  aaaaaaaaaaaa  2026-02-03    812 GB",
        "node-001     meta-llama/Lla..1-405B-Instruct  bbbbbbbbbbbb  2026-02-02    9.0 MB",
        "",
        "Removing them frees at least 1.6 TB.",
    ]
    short = old_revisions({"n": host(model(revision(A), repo_id="a/b"))})
    assert short["screen"].splitlines() == [
        "HOST  MODEL  COMMIT        LAST USED      FREES",
        "n     a/b    aaaaaaaaaaaa  2026-02-01    812 GB",
        "",
        "Removing it frees 812 GB.",
    ]


def test_eighty_columns_for_64_hosts_and_long_names() -> None:
    one = host(
        model(revision(A), revision(B, 2, bytes_freed=0), revision(C, 3), repo_id="organisation/" + "x" * 80),
        model(revision(D, problems=["y"]), repo_id="tr\u00e8s/petit", problems=["/very/long/path" * 20 + " is gone."]),
    )
    one["problems"] = ["/hf/hub/models--acme--file is not a directory: move it away."]
    found = old_revisions({f"node-{number:03}": one for number in range(64)}, keep=1)
    lines = found["screen"].splitlines()
    assert all(len(line) <= WIDTH and line.isascii() for line in lines)
    assert [line[:12] for line in lines[1:3]] == ["node-000 +63"] * 2
    assert "Removing them frees at least 51.9 TB." in lines
    assert any("dddddddddddd stays, the cache is damaged" in line for line in lines)
    assert any(line.startswith("node-063: /hf/hub/models--acme--file is not a directory") for line in lines)
