#!/bin/sh
# All tests: unit tests and end to end, each over SQLite and over a PostgreSQL
# that the tests start; guards. Called by `make test`, which has built
# everything and installed what is needed.
# Usage: tests/run.sh BUILD
set -u
build=$(cd "${1:?the build folder}" && pwd)
cd "$(dirname "$0")/.." || exit 1
status=0

"$build/unit" || status=1
tests/with_postgres.py "$build/unit" || status=1
tests/guards/run.sh "$build" || status=1
(cd tests/e2e/node && npm ci --no-audit --no-fund --silent) || status=1

# Most of an end-to-end run is waiting: two take hardly longer than one.
e2e() {
    RENSEI_BUILD="$build" RENSEI_E2E_STORE=$1 \
        /usr/bin/python3 -m pytest tests/e2e -q
}
over_pgsql=$(mktemp)
e2e pgsql >"$over_pgsql" 2>&1 &
echo 'end to end, over SQLite'
e2e sqlite || status=1
echo 'end to end, over PostgreSQL'
wait $! || status=1
cat "$over_pgsql"
rm -f "$over_pgsql"

[ $status -eq 0 ] || echo 'tests: FAILED'
exit $status
