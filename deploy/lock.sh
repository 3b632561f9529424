#!/usr/bin/env bash
# Writes requirements.lock (what runs) and requirements-test.lock (that and what tests it), with
# hashes and without the name of any registry. Run it with the oldest Python that is supported.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=.cache/pip-tools
[ -x "$tools/bin/pip-compile" ] || python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check "pip-tools==$1"

compile() {
    "$tools/bin/pip-compile" --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
        --no-annotate --no-header --all-build-deps "$@" pyproject.toml
}

compile --output-file requirements.lock
compile --extra test --constraint requirements.lock --output-file requirements-test.lock
