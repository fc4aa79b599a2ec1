# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of the module hub_mirror to its result.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import getpass
import ipaddress
from typing import Any, Dict, Optional

from ansible_collections.llmserve.vllm.plugins.module_utils._mirror_process import (
    Mirror,
    MirrorError,
    Place,
    Settings,
    listen,
    start,
    stop,
)


def work(params: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    """Runs as the user of the cache, perhaps in a child process: errors travel as data."""
    place = Place(params["cache_dir"])
    try:
        if params["state"] == "absent":
            return _absent(place, check_mode)
        return _present(place, _read_settings(params), check_mode)
    except MirrorError as problem:
        return {"failure": str(problem), "reason_kind": problem.kind}
    except OSError as exc:
        return {
            "failure": "The mirror's files in {0} cannot be changed ({1}). That directory has to belong to the user "
            "{2}, who runs the mirror, and its filesystem needs room.".format(place.folder, exc, _user(params)),
            "reason_kind": "not_writable",
        }


def _user(params: Dict[str, Any]) -> str:
    return params["run_as"] or getpass.getuser()


def _read_settings(params: Dict[str, Any]) -> Settings:
    try:
        address = ipaddress.ip_address(params["address"].strip("[]"))
    except ValueError:
        address = None
    if address is None or address.is_unspecified or "%" in str(address):
        raise MirrorError(
            "address_invalid",
            "address is {0!r}: it has to be the one IP address of this host by which the other hosts reach it.".format(
                params["address"]
            ),
        )
    if not 1 <= params["port"] <= 65535:
        raise MirrorError("port_invalid", "port is {0}: it has to be from 1 to 65535.".format(params["port"]))
    if params["idle_timeout"] <= 0:
        raise MirrorError("idle_timeout_invalid", "idle_timeout has to be more than 0 seconds.")
    return Settings(str(address), params["port"], params["idle_timeout"])


def _present(place: Place, settings: Settings, check_mode: bool) -> Dict[str, Any]:
    before = place.running()
    token = place.token()
    if before is not None and before.settings == settings and token:
        return _result(before, settings, token, before=before, changed=False)
    own_port = before is not None and before.settings.port == settings.port
    if check_mode:
        if not own_port:
            listen(place, settings, token).server_close()
        return _result(None, settings, token, before=before, changed=True)
    place.prepare()
    token = place.make_token()
    if before is not None and own_port:
        stop(before)
    server = listen(place, settings, token)
    if before is not None:
        stop(before)
    mirror = start(place, settings, server)
    return _result(mirror, settings, token, before=before, changed=True)


def _absent(place: Place, check_mode: bool) -> Dict[str, Any]:
    before = place.running()
    changed = place.is_there()
    if not check_mode:
        if before is not None:
            stop(before)
        place.forget()
    return {
        "changed": changed,
        "running": before is not None and check_mode,
        "diff": {"before": _line(before), "after": ""},
    }


def _result(
    mirror: Optional[Mirror], settings: Settings, token: str, *, before: Optional[Mirror], changed: bool
) -> Dict[str, Any]:
    result = {
        "changed": changed,
        "running": mirror is not None,
        "url": _url(settings),
        "token": token,
        "peer": {"url": _url(settings), "token": token},
        "diff": {"before": _line(before), "after": "{0}\n".format(_told(settings))},
    }
    if mirror is not None:
        result["pid"] = mirror.process["pid"]
    return result


def _url(settings: Settings) -> str:
    return "http://{0}:{1}".format(
        "[{0}]".format(settings.address) if ":" in settings.address else settings.address, settings.port
    )


def _told(settings: Settings) -> str:
    return "{0}, ends after {1:g} s without a request".format(_url(settings), settings.idle_timeout)


def _line(mirror: Optional[Mirror]) -> str:
    return "" if mirror is None else "{0}\n".format(_told(mirror.settings))
