"""A Hugging Face Hub and a Python package index for the sandbox, from two folders.

It speaks what huggingface_hub, `hf`, vLLM and this collection's modules ask of a Hub when they read models; the real
client is run against it in tests/download/hub. Nothing is ever written.

    GET       /api/models/ORG/NAME[/revision/REVISION][?blobs=true][&expand=FIELD]...
    GET       /api/models/ORG/NAME/tree/REVISION[/FOLDER][?recursive=true][&expand=true][&limit=N], in pages
    POST      /api/models/ORG/NAME/paths-info/REVISION, form or JSON: paths, expand
    GET       /api/models/ORG/NAME/refs[?include_prs=1]
    GET       /api/models/ORG/NAME/auth-check, /api/whoami-v2
    HEAD, GET /ORG/NAME/resolve/REVISION/PATH
    GET       /simple/..., /wheels/..., /healthz

The folder ORG/NAME of --models is the branch main of a repository. ORG/NAME@REF is another revision of it: a bare REF
is a tag, and refs/heads/..., refs/tags/..., refs/pr/N are written with %2F for the slashes. A revision in a request is
a branch, a tag, a full ref or a whole commit id.

As on the Hub, small files of an open repository redirect (307) to a page of their commit below /api/resolve-cache/,
those of a gated one are answered at once; LFS files redirect (302) to a storage that knows no tokens, only its own
signatures, when --storage-port is given; old names redirect (307, --renamed OLD=NEW); and refusals carry
X-Error-Code and X-Error-Message.

Where it differs from the Hub:

- No Xet: no X-Xet-Hash, so clients fall back to plain HTTP, and nothing is refused for its size.
- No git: a commit is named after its content, has no parents and no list of commits, all have one date. The ids of
  files are git's and SHA-256, those of folders are made up.
- A file is LFS by its suffix or above 10 MiB; there is no .gitattributes.
- Addresses of the storage do not expire, and are not made from the content. A fault (403 below /storage/) does it.
- No compression, no conditional requests, no multiple ranges, no RateLimit headers but in a fault that has them.
- Names have two parts and one way to be written; no short commit ids; models only, no data sets or spaces.
- Accounts are three kinds of token: one that has accepted the licence of gated repositories, one that has not, and
  all others, which are refused. There are no private repositories, and a gated one can be listed by everybody.

With --test-control, and only then, it is steered below /_test/; see steering.py.
"""
