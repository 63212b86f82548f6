#!/bin/sh
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
#
# Tests, over SQLite, in processes that are watched while they run: by
# AddressSanitizer and UndefinedBehaviorSanitizer (what is in BUILD was made
# with them), or by valgrind. Whatever either says is shown, and fails the run.
# Called by `make check-asan` and `make check-valgrind`.
# Usage: tests/watched.sh asan|valgrind BUILD [PYTEST ARGUMENT...]
set -u
by=${1:?asan or valgrind}
build=$(cd "${2:?the build folder}" && pwd)
shift 2
cd "$(dirname "$0")/.." || exit 1
status=0

# The server's children write here, as another account.
said=$(mktemp -d)
chmod 1777 "$said"

# Leaks of the modules are not looked for in httpd: it frees nothing that
# belongs to a pool of its own when a child ends. Each module has its copy of
# lib/, by intent, so one name defined twice is no fault.
asan_options() {
    export ASAN_OPTIONS="log_path=$said/asan:detect_leaks=$1:detect_odr_violation=0:abort_on_error=0"
    export UBSAN_OPTIONS="print_stacktrace=1:log_path=$said/ubsan"
}

e2e() {
    RENSEI_BUILD=$build RENSEI_E2E_STORE=sqlite \
        /usr/bin/python3 -m pytest -q "$@"
}

under_asan() {
    asan_options 1
    "$build/unit" || status=1
    "$build/fuzz-replay" tests/fuzz/corpus || status=1
    asan_options 0
    RENSEI_E2E_PRELOAD=$(gcc -print-file-name=libasan.so)
    export RENSEI_E2E_PRELOAD
    # Not test_make_run: the sanitizer's library would have to be in all that
    # it starts, and curl hangs with that.
    [ $# -gt 0 ] || set -- tests/e2e --ignore tests/e2e/test_make_run.py
    e2e "$@" || status=1
}

# Some thirty times slower: of the unit tests one process for all, so that what
# is lost can be told, and every input of the fuzz targets.
under_valgrind() {
    watch="valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite \
        --show-leak-kinds=definite --error-exitcode=99 --log-file=$said/valgrind.%p"
    # shellcheck disable=SC2086
    CK_FORK=no CK_DEFAULT_TIMEOUT=0 $watch "$build/unit" || status=1
    # shellcheck disable=SC2086
    $watch "$build/fuzz-replay" tests/fuzz/corpus || status=1
}

case $by in
asan) under_asan "$@" ;;
valgrind) under_valgrind "$@" ;;
*) echo "watched.sh: by asan or by valgrind, not by $by" >&2; exit 2 ;;
esac

for f in "$said"/*; do
    [ -s "$f" ] || continue
    status=1
    echo "--- $(basename "$f")"
    head -n 60 "$f"
done
rm -rf "$said"
[ $status -eq 0 ] && echo "tests: nothing found by $by"
exit $status
