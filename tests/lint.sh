#!/bin/sh
# Formatting, and what three analysers think. Called by `make lint`.
# Usage: tests/lint.sh "C FLAGS"
set -u
cd "$(dirname "$0")/.." || exit 1
flags=${1:?the flags to compile with}
status=0
# Not to /dev/null: what root compiles to there in vain takes it away.
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
sources=$(git ls-files 'lib/*.c' 'httpd/*.c' 'mod_rensei_*/*.c' 'support/*.c')

echo 'lint: clang-format'
# shellcheck disable=SC2046
clang-format --dry-run -Werror $(git ls-files '*.c' '*.h') || status=1

echo 'lint: gcc -fanalyzer'
for f in $sources; do
    # -Wno-analyzer-malloc-leak: it does not know pools and their cleanups
    # shellcheck disable=SC2086
    gcc $flags -O1 -Werror -fanalyzer -Wno-analyzer-malloc-leak -c -o "$made/x.o" "$f" || status=1
done

echo 'lint: cppcheck'
# ctuuninitvar: takes a function's out-parameter for an argument
# shellcheck disable=SC2086
cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
    --enable=warning,performance,portability -Ilib -Ihttpd -Imod_rensei_auth \
    --suppress=missingInclude --suppress=ctuuninitvar --suppress=missingIncludeSystem --suppress=unknownMacro $sources || status=1

echo 'lint: clang-tidy'
# bugprone-easily-swappable-parameters, -reserved-identifier: noise in C
# bugprone-implicit-widening…, -narrowing-conversions: the sizes are constants,
#   and toupper() gives an int; -macro-parentheses: an X-macro's value is a name
# clang-analyzer-security.insecureAPI.DeprecatedOrUnsafe…: wants C11 annex K, which glibc has not
# shellcheck disable=SC2086
clang-tidy --quiet --warnings-as-errors='*' \
    --checks='-*,bugprone-*,cert-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-cert-dcl37-c,-cert-dcl51-cpp,-cert-err33-c,-bugprone-assignment-in-if-condition,-bugprone-implicit-widening-of-multiplication-result,-bugprone-narrowing-conversions,-bugprone-macro-parentheses,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling' \
    $sources -- $flags 2>/dev/null || status=1

echo 'lint: shellcheck'
# shellcheck disable=SC2046
shellcheck $(git ls-files '*.sh') .ci/run || status=1

[ $status -eq 0 ] && echo 'lint: clean'
exit $status
