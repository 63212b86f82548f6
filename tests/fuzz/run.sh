#!/bin/sh
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
#
# Runs the fuzzers one after the other, from the inputs that are kept and those
# of runs before. Called by `make fuzz`, which has built them.
# Usage: tests/fuzz/run.sh BUILD SECONDS TARGET...
set -u
build=${1:?the build folder}
seconds=${2:?for how long each}
shift 2
cd "$(dirname "$0")/../.." || exit 1
status=0

for target in "$@"; do
    mkdir -p "$build/corpus/$target" "$build/found"
    log=$build/$target.log
    UBSAN_OPTIONS=print_stacktrace=1 nice -n 19 "$build/fuzz-$target" \
        -max_total_time="$seconds" -max_len=9000 -timeout=20 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="$build/found/$target-" \
        "$build/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1 || {
        echo "fuzz: $target FAILED: see $log, and the input in $build/found"
        status=1
    }
    sed -n "s/^stat::number_of_executed_units: */fuzz: $target: executions /p" "$log"
done
exit $status
