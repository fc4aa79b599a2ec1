# SPDX-License-Identifier: GPL-3.0-or-later
"""The size of what vLLM loads, with the headers read from a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._hub import RepoFile
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_api import HubClient, HubError
from ansible_collections.llmserve.vllm.plugins.module_utils._hub_weights import (
    INDEX,
    Checkpoint,
    Weights,
    hub_header,
    loaded_files,
    total_problem,
    weigh,
)
from ansible_collections.llmserve.vllm.plugins.module_utils._safetensors import Header
from ansible_collections.llmserve.vllm.tests.unit.plugins.hub_server import (
    COMMIT,
    GOOD_TOKEN,
    Hub,
    running_hub,
    safetensors,
)

MODEL = "acme/real"
ONE = "model-00001-of-00002.safetensors"
TWO = "model-00002-of-00002.safetensors"
MIB = 1 << 20
# 3 MiB and 2 MiB of tensors; layer 2 of 2 is one for multi-token prediction
SHARDS = {
    ONE: safetensors({"model.embed_tokens.weight": ("BF16", [MIB], 2 * MIB), "model.layers.0.w": ("U8", [MIB], MIB)}),
    TWO: safetensors({"model.layers.1.w": ("BF16", [MIB // 2], MIB), "model.layers.2.w": ("F32", [MIB // 4], MIB)}),
}
WEIGHT_MAP = {
    "model.embed_tokens.weight": ONE,
    "model.layers.0.w": ONE,
    "model.layers.1.w": TWO,
    "model.layers.2.w": TWO,
}
BY_DTYPE = {"BF16": 3 * MIB, "U8": MIB, "F32": MIB}


def index(total: Any = 5 * MIB, **changes: Any) -> dict[str, Any]:
    return {"metadata": {"total_size": total}, "weight_map": WEIGHT_MAP, **changes}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as server:
        server.models[MODEL] = dict(SHARDS)
        yield server


def weighed(
    hub: Hub,
    weight_index: dict[str, Any] | None = None,
    always: bool = False,
    files: list[RepoFile] | None = None,
    token: str | None = None,
) -> Weights:
    client = HubClient(hub.url, token, timeout=5, sleep=lambda _seconds: None)
    content = [RepoFile(name, len(data)) for name, data in hub.models[MODEL].items()]
    checkpoint = Checkpoint(MODEL, files or content, content, {"num_hidden_layers": 2}, weight_index)
    return weigh(checkpoint, lambda item: hub_header(client, MODEL, COMMIT, item), always)


def never(item: RepoFile) -> Header:
    raise AssertionError(f"{item.path} need not be read")


def test_the_index_needs_no_other_request(hub: Hub) -> None:
    found = weighed(hub, index())
    assert found.as_result() == {"bytes": 5 * MIB, "source": "index", "ignored": {"left_out": 0, "not_loaded": 0}}
    assert weighed(hub, index(float(5 * MIB))).bytes == 5 * MIB
    assert hub.seen == []


def test_without_an_index_the_headers_are_read_and_no_more(hub: Hub) -> None:
    found = weighed(hub)
    assert (found.bytes, found.source, found.warnings) == (5 * MIB, "headers", [])
    assert found.tensors_by_dtype == BY_DTYPE
    assert found.mtp_bytes == MIB
    assert len(hub.seen) == 2
    assert hub.served <= 2 * 16384


def test_headers_may_be_asked_for(hub: Hub) -> None:
    found = weighed(hub, index(), always=True)
    assert (found.source, found.tensors_by_dtype) == ("index", BY_DTYPE)
    # close enough to the files to be believed, but not the truth
    found = weighed(hub, index(5 * MIB - 2), always=True)
    assert (found.bytes, found.source) == (5 * MIB, "headers")


def test_a_long_header_takes_a_second_request(hub: Hub) -> None:
    name = "model.safetensors"
    hub.models[MODEL] = {name: safetensors({"mtp.0.w": ("F16", [MIB], 2 * MIB)}, padding=100000)}
    found = weighed(hub)
    assert (found.bytes, found.source, found.mtp_bytes) == (2 * MIB, "headers", 2 * MIB)
    assert len(hub.seen) == 2
    assert 100000 < hub.served < 101000


@pytest.mark.parametrize(
    ("total", "words"),
    [
        (6 * MIB, "states 6.3 MB of weights, but its files have only 5.2 MB"),
        (2 * MIB, "states 2.1 MB of weights, but its files have 5.2 MB"),
        (0, "states a total_size of 0"),
        (-5, "states a total_size of -5"),
        (2.5, "no whole number"),
        ("5242880", "no whole number"),
        (True, "no whole number"),
        ([1], "no whole number"),
    ],
)
def test_a_wrong_total_is_not_used(hub: Hub, total: Any, words: str) -> None:
    found = weighed(hub, index(total))
    assert (found.bytes, found.source) == (5 * MIB, "headers")
    assert words in found.warnings[0]
    assert found.warnings[0].startswith(f"{INDEX} of {MODEL}")


def test_an_index_without_a_total_is_no_fault(hub: Hub) -> None:
    for metadata in ({}, None, {"total_size": None}):
        found = weighed(hub, index(metadata=metadata))
        assert (found.bytes, found.source, found.warnings) == (5 * MIB, "headers", [])


def test_large_models_may_have_few_percent_of_headers_only() -> None:
    files = [RepoFile("x", 10**12)]
    assert total_problem(995 * 10**9, files) is None
    assert total_problem(98 * 10**10, files) is not None


def test_only_the_files_that_the_index_names_count(hub: Hub) -> None:
    extra = {"model-old.safetensors": 700, "sub/model.safetensors": 50, "pytorch_model.bin": 90}
    content = [RepoFile(name, len(data)) for name, data in SHARDS.items()]
    content += [RepoFile(name, size) for name, size in extra.items()]
    found = weighed(hub, index(), files=content)
    assert found.bytes == 5 * MIB
    checkpoint = Checkpoint(MODEL, content, [*content, RepoFile("original/c.pth", 9000)], {}, index())
    assert weigh(checkpoint, never, False).ignored == {"left_out": 9000, "not_loaded": 840}


def test_other_formats_are_counted_by_their_files() -> None:
    files = [RepoFile("pytorch_model.bin", 90), RepoFile("tokenizer.json", 5), RepoFile("other.gguf", 7)]
    found = weigh(Checkpoint(MODEL, files, files, {}, None), never, True)
    assert (found.bytes, found.source, found.ignored["not_loaded"]) == (90, "files", 7)
    deep = [RepoFile("fp16/model.safetensors", 8)]
    assert loaded_files(Checkpoint(MODEL, deep, deep, {}, None)) == deep


def test_an_index_that_names_an_absent_file(hub: Hub) -> None:
    one = [RepoFile(ONE, len(SHARDS[ONE]))]
    with pytest.raises(HubError) as caught:
        weighed(hub, index(), files=one)
    assert caught.value.kind == "weights_incomplete"
    assert f"names {TWO}, which the patterns leave out" in str(caught.value)
    del hub.models[MODEL][TWO]
    with pytest.raises(HubError, match="is not there: an upload or a copy was not finished"):
        weighed(hub, index())


@pytest.mark.parametrize("weight_map", [None, {}, [], {"w": 1}, {"w": ""}])
def test_an_index_without_files(hub: Hub, weight_map: Any) -> None:
    with pytest.raises(HubError) as caught:
        weighed(hub, index(weight_map=weight_map))
    assert caught.value.kind == "bad_file"
    assert "weight_map" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (SHARDS[TWO][:100], "is cut off in its header"),
        (SHARDS[TWO][:-1], "but its header describes"),
        (b"<!DOCTYPE html><html>" + bytes(500), "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"", "is empty"),
    ],
)
def test_a_damaged_file_leaves_the_size_of_the_files(hub: Hub, data: bytes, words: str) -> None:
    hub.models[MODEL][TWO] = data
    found = weighed(hub)
    assert (found.bytes, found.source) == (len(SHARDS[ONE]) + len(data), "files")
    assert f"{TWO} " in found.warnings[0]
    assert words in found.warnings[0]


def test_a_server_without_ranges_sends_no_whole_file(hub: Hub) -> None:
    hub.ranges = False
    hub.models[MODEL] = {"model.safetensors": safetensors({"w": ("U8", [64 * MIB], 64 * MIB)}, padding=50000)}
    found = weighed(hub)
    assert (found.bytes, found.source) == (64 * MIB, "headers")
    # the buffers of two connections, at most
    assert hub.served < 32 * MIB


def test_a_listing_of_another_file_is_noticed(hub: Hub) -> None:
    found = weighed(hub, files=[RepoFile(ONE, 10**7)])
    assert (found.bytes, found.source) == (10**7, "files")
    assert "10000000 bytes long, but its header describes" in found.warnings[0]


def test_an_answer_that_is_cut_off_on_the_way(hub: Hub) -> None:
    hub.cut = 10
    found = weighed(hub)
    assert found.source == "files"
    assert "cannot be reached from this host (IncompleteRead" in found.warnings[0]


def test_the_token_does_not_follow_to_the_storage(hub: Hub) -> None:
    with running_hub() as storage:
        storage.models = hub.models
        hub.elsewhere = storage.url
        assert weighed(hub, token=GOOD_TOKEN).bytes == 5 * MIB
        assert [token for _path, token in hub.seen] == [GOOD_TOKEN] * 2
        assert [token for _path, token in storage.seen] == [""] * 2
        assert 0 < storage.served <= 2 * 16384
        assert hub.served == 0


def test_a_storage_that_cannot_be_reached_is_named(hub: Hub) -> None:
    with running_hub() as storage:
        hub.elsewhere = storage.url
    found = weighed(hub)
    assert found.source == "files"
    assert f"sends this host on to {hub.elsewhere[len('http://') :]}, which cannot be reached" in found.warnings[0]


def test_an_answer_with_other_bytes(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    client = HubClient(hub.url, None, timeout=5)
    with pytest.raises(HubError, match="HTTP 416"):
        client.part(MODEL, COMMIT, ONE, (10**8, 10**8 + 5))
    assert client.part(MODEL, COMMIT, ONE, (8, 10)) == SHARDS[ONE][8:10]
    monkeypatch.setattr("re.fullmatch", lambda *_args: {1: "0", 2: "1"})
    with pytest.raises(HubError, match="answered other bytes"):
        client.part(MODEL, COMMIT, ONE, (8, 10))


def test_json_of_the_hub_has_its_limits(hub: Hub) -> None:
    hub.models[MODEL] = {"config.json": json.dumps({"x": "y" * 5000}).encode(), "bad.json": b'{"a": NaN}'}
    client = HubClient(hub.url, None, timeout=5)
    assert client.json_file(MODEL, COMMIT, "config.json", 6000) == {"x": "y" * 5000}
    assert client.json_file(MODEL, COMMIT, "absent.json", 6000) is None
    with pytest.raises(HubError) as caught:
        client.json_file(MODEL, COMMIT, "config.json", 1000)
    assert caught.value.kind == "bad_file"
    assert f"config.json of {MODEL} at {COMMIT} is larger than" in str(caught.value)
    with pytest.raises(HubError, match="gives a the value NaN"):
        client.json_file(MODEL, COMMIT, "bad.json", 1000)
