# SPDX-License-Identifier: GPL-3.0-or-later
"""Units and their environment, written as systemd reads them."""

from __future__ import annotations

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._unit_file import (
    UnitFileError,
    command_line,
    environment_text,
    read,
    read_command,
)

WORDS = [
    "/bin/sh",
    "-c",
    'export KEY="$(cat /run/credentials/x/api_key)"; exec /venv/bin/vllm serve "$@"',
    "vllm-serve",
    "--hf-overrides",
    '{"rope": {"factor": 8.0}, "path": "C:\\\\x"}',
    "100 %",
    "%%",
    "$$HOME",
    ";",
    "",
    "two\nlines\tand a tab",
]


def test_a_command_comes_back_as_it_was() -> None:
    assert read_command(command_line(WORDS)) == WORDS


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("a b", '"a b"'),
        ('{"a": 1}', '"{\\"a\\": 1}"'),
        ("$HOME", '"$$HOME"'),
        ("%h", '"%%h"'),
        ("\\n", '"\\\\n"'),
        ("x\ny", '"x\\ny"'),
        (";", '";"'),
    ],
)
def test_what_means_something_to_systemd_is_taken_literally(word: str, quoted: str) -> None:
    assert command_line([word]) == quoted


def test_variables_keep_what_a_shell_would_change() -> None:
    text = environment_text({"B": 'a "b" $c `d` \\', "A": 1})
    assert text == 'A="1"\nB="a \\"b\\" \\$c \\`d\\` \\\\"\n'


@pytest.mark.parametrize("variables", [{"A B": "x"}, {"1A": "x"}, {"A": "x\0y"}])
def test_what_no_file_can_carry_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(UnitFileError):
        environment_text(variables)


def test_a_nul_byte_in_an_argument_is_refused() -> None:
    with pytest.raises(UnitFileError, match="NUL byte"):
        command_line(["a\0b"])


def test_a_unit_is_read_back() -> None:
    found = read(
        "# Component=comment\n[Unit]\nDescription=a=b\n[Service]\nUser=llmserve\n"
        "EnvironmentFile=/etc/llmserve/vllm.env\nLoadCredential=api_key:/etc/llmserve/api_key\nLoadCredential=ray_token:/etc/llmserve/ray_token\n"
        f"ExecStartPre=-+/usr/bin/x\nExecStart={command_line(WORDS)}\n\n"
        "[X-llmserve]\nCluster=a\nComponent=vllm\nGroup=\n"
    )
    assert found.user == "llmserve"
    assert found.command == WORDS
    assert found.credentials == ["api_key:/etc/llmserve/api_key", "ray_token:/etc/llmserve/ray_token"]
    assert found.environment_file == "/etc/llmserve/vllm.env"
    assert found.labels == {"Cluster": "a", "Component": "vllm", "Group": ""}


def test_a_unit_of_somebody_else_has_no_labels() -> None:
    assert read("[Service]\nExecStart=/bin/true\n").labels == {}
