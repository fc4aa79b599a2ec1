# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the vLLM in an image, or in a virtual environment, which arguments it accepts, once, and remember the answer.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import os
import re
from typing import Dict, List, NamedTuple, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._container import CliResult, Runner, run_cli
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_flags import Flag
from ansible_collections.llmserve.vllm.plugins.module_utils._vllm_help import HelpError, parse_help

# The version first, from metadata and so even where the help fails. Releases that know no groups refuse =all.
_SCRIPT = (
    'python3 -c \'import importlib.metadata as m; print("version", m.version("vllm"))\'; '
    "vllm serve --help=all || vllm serve --help"
)
# Some libraries want to write there when they are imported.
_OWN_HOME = "HOME=$(mktemp -d) && export HOME && trap 'rm -rf \"$HOME\"' EXIT; "
_ENV = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}


class FlagsError(Exception):
    """The image cannot be asked, or does not answer: a sentence for the operator, and its kind for the program."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Answer(NamedTuple):
    """What an image said; the version is empty where it did not tell."""

    version: str
    help_text: str
    flags: Dict[str, Flag]


class Question(NamedTuple):
    """Which image to ask, or which virtual environment and as whom, and how."""

    docker_cli: str
    image: str
    gpus: bool
    timeout: float
    venv: str = ""
    user: str = ""

    @property
    def asked(self) -> str:
        """What is asked, in words."""
        return self.venv or self.image


def image_id(question: Question, run: Runner = run_cli) -> Optional[str]:
    """The identifier of the image or environment on this host; None when it is not there."""
    if question.venv:
        # its directory is named after its lock file, and is there only when it is complete
        there = os.path.exists(os.path.join(question.venv, "bin", "vllm"))
        return os.path.basename(question.venv.rstrip("/")) if there else None
    argv = [question.docker_cli, "image", "inspect", "--format", "{{.Id}}", question.image]
    done = run(argv, 60)
    if done.rc == 0 and done.stdout.strip():
        return done.stdout.strip()
    if done.rc != 127 and "no such image" in done.stderr.lower():
        return None
    raise FlagsError(
        "docker",
        "`{0}` failed with rc {1}: {2}. See that Docker runs on this host, and that the task has become: true.".format(
            " ".join(argv[:3] + argv[-1:]), done.rc, _last_words(done)
        ),
    )


def ask(question: Question, run: Runner = run_cli) -> Answer:
    """Run it once for its help; it needs no network and leaves nothing behind."""
    if question.venv:
        return _ask_venv(question, run)
    name = "llmserve-engine-flags-{0}".format(os.getpid())
    argv = [question.docker_cli, "run", "--rm", "--name", name, "--pull", "never", "--network", "none"]
    argv += ["--gpus", "all"] if question.gpus else []
    argv += [word for key, value in _ENV.items() for word in ("--env", key + "=" + value)]
    argv += ["--entrypoint", "sh", question.image, "-c", _SCRIPT]
    done = run(argv, question.timeout)
    if done.rc == 124:
        # the client was stopped, its container was not
        run([question.docker_cli, "rm", "--force", name], 60)
    if done.rc != 0:
        raise FlagsError(
            "no_answer",
            "`vllm serve --help=all` in {0} ended with rc {1}: {2}.".format(question.image, done.rc, _last_words(done)),
        )
    return read_answer(done.stdout)


def _ask_venv(question: Question, run: Runner) -> Answer:
    """As the user that serves: nothing that was fetched runs as root."""
    path = "PATH={0}/bin:/usr/local/bin:/usr/bin:/bin".format(question.venv)
    variables = [path, *("{0}={1}".format(key, value) for key, value in _ENV.items())]
    argv = ["setpriv", "--reuid", question.user, "--regid", question.user, "--init-groups", "--no-new-privs"]
    done = run([*argv, "env", "-i", *variables, "sh", "-c", _OWN_HOME + _SCRIPT], question.timeout)
    if done.rc != 0:
        raise FlagsError(
            "no_answer",
            "`vllm serve --help=all` in {0} ended with rc {1}: {2}.".format(question.venv, done.rc, _last_words(done)),
        )
    return read_answer(done.stdout)


def read_answer(text: str) -> Answer:
    """The version and the flags in what the image printed."""
    match = re.match(r"version (\S+)\n", text)
    rest = text[match.end() :] if match else text
    try:
        return Answer(match.group(1) if match else "", rest, parse_help(rest))
    except HelpError as exc:
        raise FlagsError("no_answer", "vLLM did not print its arguments: {0}.".format(exc)) from exc


def path_of(folder: str, identifier: str) -> str:
    """Where the answer of an image is remembered; an identifier is a digest such as C(sha256:1f0c)."""
    return os.path.join(folder, re.sub(r"[^0-9A-Za-z]+", "-", identifier) + ".json")


def recall(path: str) -> Optional[Answer]:
    """A remembered answer; None when there is none, or none that makes sense."""
    try:
        with open(path, encoding="utf-8") as handle:
            data = json.load(handle)
        return Answer(str(data["vllm_version"]), str(data["help"]), parse_help(str(data["help"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(path: str, question: Question, identifier: str, answer: Answer) -> None:
    """Write an answer in one step, for everybody to read."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    data = {
        "image": question.asked,
        "image_id": identifier,
        "vllm_version": answer.version,
        "help": answer.help_text,
    }
    staged = "{0}.{1}.tmp".format(path, os.getpid())
    with open(staged, "w", encoding="utf-8") as handle:
        handle.write(json.dumps(data, indent=1) + "\n")
    # whatever the umask of the connection is
    os.chmod(staged, 0o644)
    os.replace(staged, path)


def _last_words(done: CliResult) -> str:
    lines: List[str] = [line for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    # the error is the last line of stderr; what follows it is the other stream
    errors = [line for line in done.stderr.splitlines() if line.strip()]
    return (errors or lines or ["no message"])[-1].strip()[-300:]
