# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets out of text that somebody will attach to a bug report.

Known secrets are removed wherever they stand, also quoted for URLs, JSON or base64; unknown ones by their shape (a
Hugging Face token) or by the name before them (api_key=...). When in doubt a value goes: a report with one figure
less is still a report.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Iterable, List, Match, Pattern, Set, Tuple
from urllib.parse import quote, quote_plus

REDACTED = "<redacted>"
_SHORTEST = 4

# Names whose value is a secret, when the name ends here: max_tokens, tokenizer and RAY_AUTH_TOKEN_PATH are not.
_NAME = (
    r"(?:[A-Za-z0-9_.-]*[_.-])?(?:api[_-]?keys?|access[_-]?keys?(?:[_-]id)?|secret[_-]?(?:access[_-])?keys?|"
    r"(?:private|encryption|signing|auth|license)[_-]?keys?|token|secrets?|passwords?|passwd|passphrase|pwd|"
    r"credentials?|vault[_-]pass|webhook[_-]?url|authorization)"
)
# The tokens of a language are none.
_INNOCENT = (
    r"(?<![A-Za-z0-9_.-])(?!(?:[\w.-]*[_.-])?"
    r"(?:eos|bos|pad|unk|sep|cls|mask|stop|image|video|audio|special|next|per)[_-]token)"
)
_ENDS = r"(?=[\s,;'\"&)\]}]|$)"
_EMPTY = (
    r"(?!\[?\s*(?:(?:None|null|true|false|Bearer|Basic|Token)"
    + _ENDS
    + r"|\{\{|!vault|\*{3}|\\?[\"']?<redacted>|''|\"\"))"
)
_QUOTED = r"\"(?:[^\"\\\n]|\\.)+\"|'(?:[^'\\\n]|\\.)+'"
_QUOTE = re.compile(r"\\?[\"']")
_BARE = r"[^\s,;'\"&)\]}]+"

_PRIVATE_KEY = re.compile(
    r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----(?!<redacted>).*?"
    r"(?:-----END \1-----|\Z|(?=\n[^\n]*[^A-Za-z0-9+/=\s:,.-]))",
    re.S,
)
_URL_USER = re.compile(r"(\b[a-z][a-z0-9+.-]*://)([^\s/@:'\"]*)(:[^\s/@'\"]*)?@", re.I)
_URL_QUERY = re.compile(
    r"([?&](?:(?:access_|auth_|api_)?token|api_?key|key|sig|signature|password|secret|code|"
    r"X-Amz-(?:Signature|Credential|Security-Token)|Signature|Policy|Key-Pair-Id|X-Xet-Signed\w*)=)[^&\s'\"#]+",
    re.I,
)
_HEADER = re.compile(r"((?:set-)?cookie[\"']?\s*:\s*[\"']?)[^\n\"']+", re.I)
_SCHEME = re.compile(r"\b((?:Bearer|Basic)\s+)(?!<redacted>)[A-Za-z0-9._~+/=-]{6,}", re.I)
_OPTION = re.compile(
    _INNOCENT + r"(--?" + _NAME + r"(?:\s+|=))" + _EMPTY + "(?!-)(" + _QUOTED + "|" + _BARE + ")", re.I
)
_ASSIGNED = re.compile(
    _INNOCENT
    + "("
    + _NAME
    + r"\\?[\"']?\s*(?:=>|[:=])\s*(?:Bearer\s+|Basic\s+|Token\s+)?\[?\s*)"
    + _EMPTY
    + r"(\\\"[^\"\\]+\\\"|"
    + _QUOTED
    + "|"
    + _BARE
    + ")",
    re.I,
)
_DOCKER_AUTH = re.compile(r"(\"(?:auth|identitytoken|registrytoken)\"\s*:\s*\")[^\"<]+")
_SHAPES = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|api_org_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{16,}|nvapi-[A-Za-z0-9_-]{16,}|"
    r"gh[opusr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|dckr_pat_[\w-]{16,}|xox[abprs]-[\w-]{10,}|"
    r"(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}|"
    r"pypi-[A-Za-z0-9_-]{32,}|npm_[A-Za-z0-9]{30,})(?![A-Za-z0-9])"
)
# What the patterns above want to see in a line at all: most lines of a long log have none of it.
_HINT = re.compile(
    r"key|token(?!s)|secret|pass|pwd|credential|webhook|auth|cookie|bearer|basic|://[^/\s]*@|[?&][^=\s]+=|"
    r"hf_|api_org|sk-|gh[opusr]_|github_pat|glpat-|dckr_pat|xox|AKIA|ASIA|AIza|eyJ|pypi-|npm_|nvapi-",
    re.I,
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without secrets: the given ones, and whatever looks like one or is called so."""
    text = _without(text, secrets)
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub("-----BEGIN \\1-----" + REDACTED, text)
    return "\n".join(_line(line) if _HINT.search(line) else line for line in text.split("\n"))


def _line(line: str) -> str:
    line = _URL_USER.sub(r"\1" + REDACTED + "@", line)
    for pattern in (_URL_QUERY, _HEADER, _SCHEME, _DOCKER_AUTH):
        line = pattern.sub(r"\1" + REDACTED, line)
    for pattern in (_OPTION, _ASSIGNED):
        line = pattern.sub(_keep_quotes, line)
    return _SHAPES.sub(REDACTED, line)


def _keep_quotes(match: Match[str]) -> str:
    """The name as it was, and its value replaced between the same quotes, so that JSON stays JSON."""
    opening = _QUOTE.match(match.group(2))
    marks = opening.group() if opening else ""
    return match.group(1) + marks + REDACTED + marks


def _without(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets in any of the forms in which programs write them."""
    forms: Set[str] = set()
    for secret in secrets:
        plain = str(secret).strip()
        if len(plain) >= _SHORTEST:
            forms.update(_forms(plain))
    # the longest first: one secret may begin with another
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, REDACTED)
    return text


def _forms(secret: str) -> List[str]:
    encoded = base64.b64encode(secret.encode()).decode()
    return [secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], encoded]


def secret_patterns() -> Tuple[Pattern[str], ...]:
    """The shapes that no redacted text may have, for those who want to look again."""
    return (_SHAPES, _PRIVATE_KEY)
