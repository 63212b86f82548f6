#!/bin/sh
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
#
# Lines and branches of lib/ that the unit tests and the fuzz targets' inputs
# run, a file a line. Called by `make coverage`, which has built them.
# Usage: tests/coverage.sh BUILD
set -u
build=$(cd "${1:?the build folder}" && pwd)
cd "$(dirname "$0")/.." || exit 1

find "$build" -name '*.gcda' -delete
"$build/unit" || exit 1
tests/with_postgres.py "$build/unit" || exit 1
"$build/fuzz-replay" tests/fuzz/corpus || exit 1

# gcov writes where the sources are; not into the checkout.
sources=$(mktemp -d)
trap 'rm -rf "$sources"' EXIT
cp -R lib "$sources"
cd "$sources" || exit 1
gcovr --root . --filter 'lib/.*' --branches "$build/lib"
gcovr --root . --filter 'lib/.*' --print-summary --fail-under-line 90 --fail-under-branch 90 "$build/lib"
