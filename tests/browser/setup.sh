#!/bin/sh
# Makes sure that Chromium and its driver are there. Installs Debian's where it may.
set -eu

missing() {
  for name in "$@"; do
    if command -v "$name" >/dev/null 2>&1; then return 1; fi
  done
}

if ! missing chromium chromium-browser google-chrome && ! missing chromedriver; then
  exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  if apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-liberation >/dev/null; then
    exit 0
  fi
fi
echo "Chromium and chromedriver are needed in PATH. On Debian: sudo apt-get install chromium chromium-driver" >&2
echo "Elsewhere, install Chrome or Chromium and the chromedriver of the same version." >&2
exit 1
