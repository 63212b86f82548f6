#!/bin/sh
# All tests: unit tests, guards, end to end. Called by `make test`, which has
# built everything and installed what is needed.
# Usage: tests/run.sh BUILD
set -u
build=$(cd "${1:?the build folder}" && pwd)
cd "$(dirname "$0")/.." || exit 1
status=0

"$build/unit" || status=1
tests/guards/run.sh "$build" || status=1
(cd tests/e2e/node && npm ci --no-audit --no-fund --silent) || status=1
RENSEI_BUILD="$build" /usr/bin/python3 -m pytest tests/e2e -q || status=1

[ $status -eq 0 ] || echo 'tests: FAILED'
exit $status
