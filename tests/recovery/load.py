# Copyright: (c) 2026, the llmserve.vllm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of the endpoint: a short completion each second, and a long one that is always under way."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterable
from typing import Any, NamedTuple

# An answer that takes longer is one that a user calls hanging; the tiny model needs a fraction of a second.
HANGING_SECONDS = 5.0
_PATIENCE = 30.0
_LONG_ANSWER = 700


class Request(NamedTuple):
    """One request: when it was sent, when it ended, and whether an answer came."""

    sent: float
    ended: float
    ok: bool
    error: str = ""

    @property
    def good(self) -> bool:
        return self.ok and self.ended - self.sent <= HANGING_SECONDS

    @property
    def felt(self) -> float:
        """When the user knew that something was wrong."""
        return min(self.ended, self.sent + HANGING_SECONDS)


class Load:
    """Asks from threads, as users do who know nothing of each other."""

    def __init__(self, url: str, model: str, key: str, interval: float = 1.0) -> None:
        self.url = url
        self.model = model
        self.key = key
        self.interval = interval
        self.streams: list[Request] = []
        self._done: list[Request] = []
        self._open: dict[int, float] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._active = threading.Event()
        self._active.set()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._ask_on, self._stream_on)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._active.set()
        for thread in self._threads:
            thread.join(_PATIENCE + 5)

    def pause(self) -> None:
        """Nobody asks anything, once what is under way has ended."""
        self._active.clear()
        end = time.monotonic() + _PATIENCE
        while self._open and time.monotonic() < end:
            time.sleep(0.1)

    def resume(self) -> None:
        self._active.set()

    def requests(self, now: float) -> list[Request]:
        """All that were sent, in that order; one that has been open for too long counts as it would end now."""
        with self._lock:
            hanging = [Request(sent, now, False, "no answer yet") for sent in self._open.values()]
            found = [*self._done, *(one for one in hanging if one.ended - one.sent > HANGING_SECONDS)]
        return sorted(found)

    def _ask_on(self) -> None:
        number = 0
        while not self._stop.is_set():
            self._active.wait()
            number += 1
            with self._lock:
                self._open[number] = time.time()
            threading.Thread(target=self._ask, args=(number,), daemon=True).start()
            self._stop.wait(self.interval)

    def _ask(self, number: int) -> None:
        error = ""
        try:
            with self._post({"max_tokens": 4}) as answer:
                json.load(answer)["choices"][0]["text"]
        except (OSError, ValueError, LookupError) as exc:
            error = str(exc) or type(exc).__name__
        with self._lock:
            self._done.append(Request(self._open.pop(number), time.time(), not error, error))

    def _stream_on(self) -> None:
        while not self._stop.is_set():
            self._active.wait()
            sent, error = time.time(), "it ended before its end"
            try:
                with self._post({"max_tokens": _LONG_ANSWER, "stream": True}) as answer:
                    error = "" if self._follow(answer) else error
            except (OSError, ValueError) as exc:
                error = str(exc) or type(exc).__name__
            self.streams.append(Request(sent, time.time(), not error, error))
            if error:
                self._stop.wait(1)

    def _follow(self, answer: Iterable[bytes]) -> bool:
        """Whether the stream came to its end, or nobody wants it any more."""
        for line in answer:
            if line.strip() == b"data: [DONE]" or self._stop.is_set() or not self._active.is_set():
                return True
        return False

    def _post(self, wishes: dict[str, Any]) -> Any:
        body = {"model": self.model, "prompt": "Once upon a time", "temperature": 0, "ignore_eos": True, **wishes}
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/v1/completions", json.dumps(body).encode(), headers)
        return urllib.request.urlopen(request, timeout=_PATIENCE)
