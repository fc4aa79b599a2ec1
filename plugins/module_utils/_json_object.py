# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a JSON object that somebody else wrote, and say in one line what is wrong with it.

This module util is PRIVATE to the collection: nothing outside of it may import it.
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Iterator, List, Tuple

# The largest real ones: 60 kB, and 10 MB for a mixture of experts with 90 thousand tensors.
MAX_CONFIG = 10 * 1000 * 1000
MAX_INDEX = 64 * 1000 * 1000

_TYPES = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number", type(None): "null"}


class JsonError(ValueError):
    """What is wrong with a text, worded to follow its name ("is not valid JSON ...")."""


def parse_object(data: bytes, limit: int) -> Dict[str, Any]:
    """Read an object. Infinite numbers become C(None): Python writes them, JSON does not know them.

    C(NaN) is refused, and so is a name that stands twice in one object with different values, because
    readers disagree on which of them counts.
    """
    if len(data) > limit:
        raise too_large(limit)
    try:
        text = data.decode("utf-8-sig")
        found = json.loads(text, object_pairs_hook=_consistent)
    except UnicodeDecodeError:
        raise JsonError("is not text in UTF-8") from None
    except json.JSONDecodeError as exc:
        where = "line {0} column {1}".format(exc.lineno, exc.colno)
        raise JsonError(
            "is empty" if not text.strip() else "is not valid JSON ({0}, {1})".format(exc.msg, where)
        ) from None
    except JsonError:
        raise
    except (ValueError, RecursionError):
        raise JsonError("is not valid JSON (a number too long, or too many levels)") from None
    if not isinstance(found, dict):
        raise JsonError("is not a JSON object but {0}".format(_TYPES.get(type(found), "something else")))
    for holder, key, path in _strange_numbers(found):
        if math.isnan(holder[key]):
            raise JsonError("gives {0} the value NaN, which is no number".format(path))
        holder[key] = None
    return found


def too_large(limit: int) -> JsonError:
    """The error for a text over the limit, also for who stops reading there."""
    return JsonError("is larger than {0} MB, which no real one is".format(limit // 1000000))


def _consistent(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        for name, value in pairs:
            if found[name] != value:
                raise JsonError("names {0} twice with different values".format(name))
    return found


def _strange_numbers(found: Dict[str, Any]) -> Iterator[Tuple[Any, Any, str]]:
    """Where a number is infinite or none: its holder, its place there, and the path to it."""
    left: List[Tuple[Any, str]] = [(found, "")]
    while left:
        holder, path = left.pop()
        items: Any = list(holder.items() if isinstance(holder, dict) else enumerate(holder))
        for key, value in items:
            here = "{0}[{1}]".format(path, key) if isinstance(holder, list) else "{0}.{1}".format(path, key).lstrip(".")
            if isinstance(value, (dict, list)):
                left.append((value, here))
            elif isinstance(value, float) and not math.isfinite(value):
                yield holder, key, here
