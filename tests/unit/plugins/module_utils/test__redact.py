# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bug report must not carry, and what it has to keep."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from ansible_collections.llmserve.vllm.plugins.module_utils._redact import REDACTED, redact
from hypothesis import given
from hypothesis import strategies as st

# Assembled here, so that no scanner takes this file for a leak.
HUB = "hf_" + "AbCd1234" * 4
AWS = "AKIA" + "ABCDEFGHIJ234567"
JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".abcdefghij"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"HF_TOKEN={HUB}", HUB),
        (f"the token {HUB} was refused", HUB),
        ("vllm serve m --api-key s3cr3t-value --port 8000", "s3cr3t-value"),
        ("vllm serve m --api-key=s3cr3t-value", "s3cr3t-value"),
        ("--hf-token 's3cr3t value'", "s3cr3t"),
        ("non-default args: {'api_key': ['s3cr3t-value'], 'port': 8000}", "s3cr3t-value"),
        ("Authorization: Bearer s3cr3t-value", "s3cr3t-value"),
        ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("curl -H 'Authorization: Bearer s3cr3t.value' http://10.0.0.1:8000", "s3cr3t.value"),
        ("x-api-key: s3cr3t-value", "s3cr3t-value"),
        ("RAY_AUTH_TOKEN=0123456789abcdef", "0123456789abcdef"),
        ("docker run -e VLLM_API_KEY=s3cr3t-value image", "s3cr3t-value"),
        ('VLLM_API_KEY: "s3cr3t value"', "s3cr3t"),
        ('"env": "{\\"HF_TOKEN\\": \\"s3cr3t\\"}"', "s3cr3t"),
        ('{"password": "a\\"s3cr3t"}', "s3cr3t"),
        ("ansible_password: s3cr3t", "s3cr3t"),
        ("ansible_become_password=s3cr3t", "s3cr3t"),
        ("https://user:pa$$w0rd@registry.example/v2/", "pa$$w0rd"),
        ("HTTPS_PROXY=http://user:s3cr3t@proxy.example:3128", "s3cr3t"),
        ("git clone https://s3cr3t@github.com/acme/m", "s3cr3t"),
        ("https://cdn.example/m?X-Amz-Signature=s3cr3t&y=1", "s3cr3t"),
        ("https://cdn.example/m?y=1&Signature=s3cr3t", "s3cr3t"),
        (f"export AWS_ACCESS_KEY_ID={AWS}", AWS),
        (f"key id {AWS} has no access", AWS),
        ("aws_secret_access_key = wJalr/K7MDENG+bPx", "wJalr/K7MDENG+bPx"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\nAAAA\n-----END OPENSSH PRIVATE KEY-----", "b3BlbnNz"),
        ("-----BEGIN PRIVATE KEY-----\nb3BlbnNz\nAAAA", "b3BlbnNz"),
        ('{"auths": {"https://x": {"auth": "dXNlcjpwYXNz"}}}', "dXNlcjpwYXNz"),
        ("Set-Cookie: session=s3cr3t; HttpOnly", "s3cr3t"),
        (f"jwt {JWT}", JWT),
        ("sk-" + "s3cr3t" * 4, "s3cr3t"),
        ("nvapi-" + "s3cr3t" * 4, "s3cr3t"),
        ("ghp_" + "s3cr3t" * 4, "s3cr3t"),
    ],
)
def test_secrets_go(text: str, secret: str) -> None:
    clean = redact(text)
    assert secret not in clean
    assert REDACTED in clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "Avg prompt throughput: 100.0 tokens/s, Avg generation throughput: 55.0 tokens/s",
        "max_num_batched_tokens=2048, max_tokens: 16, eos_token='</s>', pad_token_id=0, tokenizer='/m'",
        "RAY_AUTH_TOKEN_PATH=/etc/llmserve/ray_token RAY_AUTH_MODE=token",
        "InvalidAuthToken: Authentication token is missing or incorrect. Set the `RAY_AUTH_TOKEN` environment variable",
        "KeyError: 'layers.61.mlp.experts.w2_weight'",
        "http://10.0.0.1:8000/v1/models and https://huggingface.co/acme/m/resolve/main/config.json",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 896.00 MiB.",
        "'api_key': None, \"password\": null, token: '', token={{ vault_token }}",
        "hf_hub_download from hf_xet, sk-learn, key: value, keys=3",
        "image vllm/vllm-openai@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "(EngineCore pid=7) ERROR 11-21 01:42:00 [core.py:1510] EngineCore failed to start.",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert redact(text) == text


def test_json_stays_json() -> None:
    text = json.dumps({"env": {"HF_TOKEN": "s3cr3t", "PORT": 8000}, "args": ["--port", "8000"], "api_key": 'a"b'})
    assert json.loads(redact(text)) == {
        "env": {"HF_TOKEN": REDACTED, "PORT": 8000},
        "args": ["--port", "8000"],
        "api_key": REDACTED,
    }


def test_what_follows_a_key_stays() -> None:
    text = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nnext line"
    assert redact(text).endswith("\nnext line")
    cut = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n(EngineCore pid=7) the next line"
    assert redact(cut).endswith("\n(EngineCore pid=7) the next line")


SECRET = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda secret: quote(secret, safe=""),
    "json": lambda secret: json.dumps(secret)[1:-1],
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
}


@given(SECRET, st.sampled_from(sorted(FORMS)))
def test_given_secrets_go_in_every_form(secret: str, form: str) -> None:
    clean = redact(f"a line with {FORMS[form](secret)} in it", [secret])
    assert clean == f"a line with {REDACTED} in it"


@given(
    st.text(alphabet="abcdefghijkmnpqrstuvwxyz0123456789_./+-", min_size=8, max_size=40).filter(
        lambda s: s[0] not in "-"
    ),
    st.sampled_from(
        ["--api-key {0} x", "HF_TOKEN={0}", "'api_key': '{0}'", "password: {0}", "Authorization: Bearer {0}"]
    ),
)
def test_named_secrets_go(secret: str, where: str) -> None:
    clean = redact(where.format(secret))
    assert secret not in clean
    assert redact(clean) == clean


@given(st.text(max_size=300))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_short_and_empty_secrets_do_not_eat_the_text() -> None:
    assert redact("a b c", ["", "a", "  "]) == "a b c"
    assert redact("longsecret longsecretary", ["longsecret", "longsecretary"]) == f"{REDACTED} {REDACTED}"
