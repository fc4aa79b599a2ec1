#!/bin/sh
# setup_venv.sh DIRECTORY REQUIREMENTS...   Makes the virtual environment, or brings it up to date.
set -eu
venv=$1
shift
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Python 3.11 or newer is needed, $("$python" --version 2>&1) was found. Name another: make PYTHON=python3.12 ..." >&2
  exit 1
}

if ! [ -x "$venv/bin/python" ]; then
  # Debian and Ubuntu split ensurepip off into a package.
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    else
      echo "Python's venv module is missing. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2
      exit 1
    fi
  fi
  "$python" -m venv "$venv"
fi

# uv installs the same packages as pip in a tenth of the time. It does not read pip's configuration,
# so a package index that is configured there is handed over.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv 2>/dev/null || {
  "$venv/bin/python" -m pip install uv
}
index=$("$venv/bin/python" -m pip config list | sed -n "s/^[^=]*\.index-url='\(.*\)'$/\1/p" | tail -n 1)
[ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
export UV_SYSTEM_CERTS=1 VIRTUAL_ENV="$venv"
set -- $(printf -- ' --requirement %s' "$@")
exec "$venv/bin/uv" pip install --quiet "$@"
