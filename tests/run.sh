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
"$build/fuzz-replay" tests/fuzz/corpus || status=1
tests/with_postgres.py "$build/unit" || status=1
tests/guards/run.sh "$build" || status=1
(cd tests/e2e/node && npm ci --no-audit --no-fund --silent) || status=1

# Most of an end-to-end run is waiting: four take hardly longer than one. Two
# share the test files of each store.
said=$(mktemp -d)
e2e() {
    mkdir -p "$said/$1"
    RENSEI_BUILD="$build" RENSEI_E2E_STORE=$1 RENSEI_E2E_SHARED="$said/$1" \
        /usr/bin/python3 -m pytest tests/e2e -q -p no:cacheprovider
}
others=
for store in sqlite pgsql pgsql; do
    number=$((${number:-1} + 1))
    e2e $store >"$said/$number" 2>&1 &
    others="$others $number:$store:$!"
done
echo 'end to end, over SQLite'
e2e sqlite || status=1
for other in $others; do
    wait "${other##*:}" || status=1
    echo "end to end, run ${other%:*}"
    cat "$said/${other%%:*}"
done
rm -rf "$said"

[ $status -eq 0 ] || echo 'tests: FAILED'
exit $status
