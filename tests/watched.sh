#!/bin/sh
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
#
# All tests, over SQLite, in processes that are watched while they run: by
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

# The server's children write in $said, as another account.
work=$(mktemp -d)
said=$work/said
mkdir "$said" "$work/shared"
chmod 755 "$work"
chmod 1777 "$said"
trap 'rm -rf "$work"' EXIT

# Leaks of the modules are not looked for in httpd: it frees nothing that
# belongs to a pool of its own when a child ends. Each module has its copy of
# lib/, by intent, so one name defined twice is no fault.
asan_options() {
    export ASAN_OPTIONS="log_path=$said/asan:detect_leaks=$1:detect_odr_violation=0:abort_on_error=0"
    export UBSAN_OPTIONS="print_stacktrace=1:log_path=$said/ubsan"
}

one_run() {
    RENSEI_BUILD=$build RENSEI_E2E_STORE=${RENSEI_E2E_STORE:-sqlite} \
        RENSEI_E2E_SHARED=$work/shared /usr/bin/python3 -m pytest -q "$@"
}

# Four runs share the files, as in run.sh. Not test_make_run: support/run.sh
# starts httpd there, not the tests; the sanitizer's library would have to be
# in all that it starts, and curl hangs with that.
e2e() {
    [ $# -gt 0 ] || set -- tests/e2e --ignore tests/e2e/test_make_run.py
    others=
    for number in 2 3 4; do
        one_run "$@" >"$work/$number" 2>&1 &
        others="$others $number:$!"
    done
    one_run "$@" || status=1
    for other in $others; do
        wait "${other#*:}" || status=1
        echo "end to end, run ${other%:*}"
        cat "$work/${other%:*}"
    done
}

under_asan() {
    asan_options 1
    "$build/unit" || status=1
    "$build/fuzz-replay" tests/fuzz/corpus || status=1
    asan_options 0
    RENSEI_E2E_PRELOAD=$(gcc -print-file-name=libasan.so)
    export RENSEI_E2E_PRELOAD
    e2e "$@"
}

# Makes a program that runs its arguments under valgrind, in the process that
# it is called in. What that forks is watched, too; what it executes (a CGI
# script, a secret's program) is not ours. The process ids come again in a run
# this long: it is the time that makes the names of the logs unique.
#
# Of leaks, what no pointer leads to any more: what a pool still holds when a
# process ends is no mistake.
make_wrapper() {
    cat >"$1" <<END
#!/bin/sh
exec valgrind --quiet --vgdb=no --fair-sched=yes --error-limit=no \\
    --num-callers=30 --error-exitcode=99 --leak-check=full \\
    --show-leak-kinds=definite --errors-for-leak-kinds=definite \\
    --suppressions='$PWD/tests/valgrind.supp' \\
    --log-file="$said/valgrind.\$(date +%s.%N).%p" "\$@"
END
    chmod 755 "$1"
}

# Some thirty times slower. Of the unit tests one process for all, so that what
# is lost can be told, and every input of the fuzz targets; beside them httpd
# with all its children, and renseictl, in the end-to-end tests.
under_valgrind() {
    make_wrapper "$work/run"
    {
        CK_FORK=no CK_DEFAULT_TIMEOUT=0 "$work/run" "$build/unit" &&
            "$work/run" "$build/fuzz-replay" tests/fuzz/corpus
    } >"$work/unit" 2>&1 &
    unit=$!
    RENSEI_E2E_WRAPPER=$work/run RENSEI_E2E_SLOWNESS=10
    export RENSEI_E2E_WRAPPER RENSEI_E2E_SLOWNESS
    e2e "$@"
    wait $unit || status=1
    cat "$work/unit"
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
[ $status -eq 0 ] && echo "tests: nothing found by $by"
exit $status
