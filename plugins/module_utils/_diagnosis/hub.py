# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes on the way from the Hugging Face Hub, or from a registry, to the host.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

from typing import Tuple

from ansible_collections.llmserve.vllm.plugins.module_utils._diagnosis.model import (
    GENERAL,
    LIKELY,
    NAMED,
    Cause,
    cause,
    seen,
)

_HUB = "https://huggingface.co/docs/"
_GATED = r"(access|to) a? ?gated repo|Access to model .* is restricted|model \S+ is gated|GatedRepoError"
_UNAUTHORIZED = r"401 Client Error|[Pp]lease log in|must (have access to it and )?be authenticated"
_FORBIDDEN = r"403 Client Error|not in the authorized list|awaiting a review|fine-grained token"
_OF_THE_HUB = r"hugging|hf_hub|hf\.co|HF_ENDPOINT|snapshot_download"

CAUSES: Tuple[Cause, ...] = (
    cause(
        "gated_repo_unauthenticated",
        "The model is gated, and no token, or one that the Hub does not know, was sent.",
        "Set llmserve_hf_token to a valid token of an account that has accepted the model's licence.",
        seen(NAMED, _GATED, also=_UNAUTHORIZED, unless=_FORBIDDEN),
        seen(LIKELY, r"You are trying to access a gated repo|GatedRepoError", unless=_FORBIDDEN),
        seen(GENERAL, r"401 Client Error: Unauthorized for url: https://huggingface\.co/\S+/resolve/"),
        source=_HUB + "hub/models-gated",
    ),
    cause(
        "gated_repo_not_authorized",
        "The model is gated, and the account of the token has not been given access.",
        "Open the model's page with that account, accept the licence and wait for the approval; a fine-grained token "
        "also needs the permission to read gated repositories. Then set it as llmserve_hf_token.",
        seen(
            NAMED,
            _GATED,
            r"awaiting a review from the repo authors|not in the authorized list",
            r"enable access to public gated repositories",
            also=_FORBIDDEN,
        ),
        source=_HUB + "hub/models-gated",
    ),
    cause(
        "hub_token_invalid",
        "The Hub does not accept the token: it is misspelt, expired or was revoked.",
        "Set llmserve_hf_token to a valid token, without blanks or a line end around it; no token at all is better for "
        "public models.",
        seen(
            NAMED,
            r"Invalid (user token|credentials in Authorization header)",
            r"(Your|User Access) [Tt]oken .*(is not valid|is invalid|expired|has been revoked)",
            r"Illegal header value b'Bearer|Invalid header value.*Bearer",
            unless=_GATED,
        ),
        source=_HUB + "hub/security-tokens",
    ),
    cause(
        "hub_rate_limited",
        "The Hub refuses more requests for now (429), as it does for many anonymous ones from one address.",
        "Set llmserve_hf_token (more requests are allowed with one), lower hf_model_max_workers, or let "
        "llmserve_model_distribution fetch for one host only.",
        seen(LIKELY, r"429 Client Error|Too Many Requests for url|HTTP(/\d\S*)? 429\b", also=_OF_THE_HUB),
        seen(NAMED, r"We had to rate limit (you|your IP)|rate limit.* huggingface\.co"),
        source=_HUB + "hub/rate-limits",
    ),
    cause(
        "hub_unreachable/tls",
        "The certificate shown for the Hub or the registry is not trusted, most often because a proxy opens TLS.",
        "Install the proxy's certificate on the hosts, or set SSL_CERT_FILE and REQUESTS_CA_BUNDLE to a bundle that "
        "has it; a host whose clock is wrong fails the same way.",
        seen(
            NAMED,
            r"CERTIFICATE_VERIFY_FAILED",
            r"SSLCertVerificationError|SSL: WRONG_VERSION_NUMBER|tlsv1 alert|x509: certificate (signed by|has expired)",
        ),
    ),
    cause(
        "hub_unreachable/proxy",
        "The proxy that the environment names cannot be reached or refuses the connection.",
        "Correct HTTPS_PROXY, HTTP_PROXY and NO_PROXY (the nodes' own addresses belong into the last).",
        seen(
            NAMED,
            r"ProxyError|Cannot connect to proxy|Tunnel connection failed|proxyconnect tcp:",
            r"407 Proxy Authentication Required|Unable to connect to proxy",
        ),
        source=_HUB + "huggingface_hub/package_reference/environment_variables",
    ),
    cause(
        "hub_offline_not_cached",
        "vLLM may not go online (HF_HUB_OFFLINE=1), and the model is not completely in its cache.",
        "Run the role hf_model for exactly llmserve_model and llmserve_model_revision on this node, and mount the "
        "whole llmserve_hf_home.",
        seen(
            NAMED,
            r"outgoing traffic has been disabled",
            r"OfflineModeIsEnabled|offline mode is enabled",
            r"IncompleteSnapshotError",
        ),
        source=_HUB + "huggingface_hub/package_reference/environment_variables",
    ),
    cause(
        "hub_xet_failed",
        "The download through the Hub's Xet storage broke off.",
        "Run the role hf_model again, it goes on where it stopped; with HF_HUB_DISABLE_XET=1 the files come by HTTP.",
        seen(
            LIKELY,
            r"hf_xet\.\w*Error|hf_xet.*([Ee]rror|panicked)|CAS service error|CasClientError",
            r"Data processing error: (CAS|File reconstruction|MerkleDB|Internal)",
            r"cas-(bridge|server)\.xethub\.hf\.co.*(refused|timed out|[Ee]rror)",
        ),
        source="https://github.com/huggingface/xet-core/issues/303",
    ),
    cause(
        "hub_download_incomplete",
        "A file of the model did not arrive completely.",
        "Run the role hf_model again: it goes on where the download stopped and verifies every shard.",
        seen(
            LIKELY - 1,
            r"Consistency check failed: file should be of size",
            r"IncompleteRead\(\d+ bytes read|Connection broken: (IncompleteRead|ConnectionResetError)",
            r"peer closed connection without sending complete message body|Response payload is not completed.*hugging",
        ),
        source=_HUB + "huggingface_hub/guides/download",
    ),
    cause(
        "hub_unreachable",
        "The Hugging Face Hub cannot be reached from this host.",
        "Check name resolution, proxy and firewall, set llmserve_hf_endpoint to a mirror, or download the model "
        "beforehand (roles hf_model, bundle) and serve with HF_HUB_OFFLINE=1.",
        seen(
            LIKELY,
            r"We couldn't connect to 'https?://",
            r"host='huggingface\.co'.*(Max retries|NameResolution|NewConnection|ConnectTimeout|ReadTimeout)",
            r"Failed to resolve '[\w.-]*(huggingface|hf)\.co'",
            r"An error happened while trying to locate the files? on the Hub",
            r"Connect(Error|Timeout)\b.*(huggingface|hf\.co)|ConnectionError\b.*(huggingface|hf\.co)",
            r"MaxRetryError.*(huggingface|hf\.co)",
            r"HTTPSConnectionPool\(host='[\w.-]*(huggingface|hf)\.co'.*(timed out|Max retries)",
            r"5\d\d Server Error: .* for url: https://(huggingface|[\w.-]*hf)\.co",
            waiting=True,
        ),
        seen(
            GENERAL,
            r"(httpx2?|httpcore2?)\.Connect(Error|Timeout)",
            r"Temporary failure in name resolution|Name or service not known",
            also=_OF_THE_HUB,
            waiting=True,
        ),
        source=_HUB + "huggingface_hub/guides/download",
    ),
    cause(
        "model_not_found_or_private",
        "The Hub knows no such model under this name, or it is private and the token may not see it.",
        "Check the spelling of llmserve_model and llmserve_model_revision, and that llmserve_hf_token may read it.",
        seen(
            LIKELY,
            r"is not a local folder and is not a valid model identifier",
            r"RepositoryNotFoundError|RevisionNotFoundError|Repository Not Found for url|Revision Not Found for url",
            r"Invalid repository ID or local directory specified",
            r"Repo id must (be in the form|use alphanumeric)",
            r"does not appear to have a file named config\.json",
            r"is not a valid git identifier",
            r"Can't load the configuration of '(?!/)",
        ),
        source=_HUB + "hub/repositories",
    ),
    cause(
        "hub_cli_gone",
        "The command huggingface-cli is gone since huggingface_hub 1.0.",
        "Download with the role hf_model, or by hand with `hf download`.",
        seen(
            NAMED,
            r"huggingface-cli`? (is|has been) (deprecated and )?(no longer|removed|gone)",
            r"huggingface-cli: (command )?not found",
        ),
        source=_HUB + "huggingface_hub/guides/cli",
    ),
    cause(
        "registry_unreachable",
        "The container registry cannot be reached from this host.",
        "Check name resolution, proxy and firewall of the Docker daemon (`systemctl show docker -p Environment`), or "
        "bring the image with the role bundle.",
        seen(
            LIKELY,
            r"(Get|Head|Post) \"https://\S+\": (dial tcp|net/http|context deadline|EOF|read tcp|proxyconnect)",
            r"lookup \S+ on \S+: (no such host|server misbehaving|read udp)",
            waiting=True,
        ),
        source="https://docs.docker.com/engine/daemon/proxy/",
    ),
    cause(
        "registry_login",
        "The container registry wants a login, or the account of this host may not read the image.",
        "`docker login` to the registry with an account that may read llmserve_image, or take the image from another "
        "registry.",
        seen(
            NAMED,
            r"unauthorized: (authentication required|incorrect username|access to the requested)",
            r"denied: requested access to the resource is denied|no basic auth credentials",
        ),
        source="https://docs.docker.com/reference/cli/docker/login/",
    ),
    cause(
        "registry_rate_limited",
        "The container registry refuses more pulls from this address for now.",
        "Log in to the registry, pull from a mirror, or bring the image with the role bundle.",
        seen(NAMED, r"toomanyrequests: |You have reached your (unauthenticated )?pull rate limit"),
        source="https://docs.docker.com/docker-hub/usage/",
    ),
    cause(
        "image_not_found",
        "The registry has no such image or tag, or none for this CPU architecture.",
        "Check llmserve_image: vLLM's tags are v0.33.0 and the like, with arm64 since v0.10.2.",
        seen(
            NAMED,
            r"manifest (for \S+ not found|unknown)|no matching manifest for ",
            r"pull access denied for |repository does not exist or may require",
            r"No such image: ",
        ),
        source="https://hub.docker.com/r/vllm/vllm-openai/tags",
    ),
    cause(
        "wrong_architecture",
        "A program in the image was built for another CPU architecture than this host's.",
        "Use a multi-architecture tag in llmserve_image (vLLM's are since v0.10.2), and pull it anew on this host.",
        seen(NAMED, r"exec format error|cannot execute binary file: Exec format error|wrong ELF class"),
        source="https://github.com/vllm-project/vllm/issues/10459",
    ),
)
