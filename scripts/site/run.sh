#!/usr/bin/env bash
# Builds the reference site in BUILD/site: `run.sh BUILD`. Exit code 77: the tools are missing.
set -euo pipefail
build=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."

python=.tools/docs/bin/python
if [[ ! -x $python ]] || ! command -v doxygen >/dev/null; then
    echo "make docs: Doxygen or Sphinx is missing: make setup DOCS=1" >&2
    exit 77
fi
exec "$python" -B scripts/site/build.py . "$build"
