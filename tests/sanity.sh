#!/bin/sh
# ansible-test wants to stand in .../ansible_collections/llmserve/vllm and refuses links to
# directories: give it a copy of what git tracks (or would), without the self-link.
set -eu
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
copy="$tree/ansible_collections/llmserve/vllm"
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard -- ':!.ansible' | tar --null -T - -cf - | tar -xf - -C "$copy"

# ansible-test bootstraps pip from a server of its own; Python's ensurepip does without.
cache="$HOME/.ansible/test/cache"
mkdir -p "$cache"
for name in get_pip_24_2.py get_pip_25_2.py; do
  [ -e "$cache/$name" ] || cp "$copy/tests/sanity/get_pip.py" "$cache/$name"
done

# Version managers put shims for Pythons that are not there into PATH; ansible-test would try them.
PATH=$(printf %s "$PATH" | tr : '\n' | grep -v /shims | paste -sd :)
export PATH
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
cd "$copy"
ansible-test sanity --local --python "$version" "$@"
