#!/bin/sh
# Rules that the compiler cannot hold, each with the mistake that it prevents.
# Usage: tests/guards/run.sh BUILD
set -u
build=${1:?the build folder}
cd "$(dirname "$0")/../.." || exit 1
# A file, because the end of a pipe is a process of its own.
verdicts=$(mktemp) || exit 1
trap 'rm -f "$verdicts"' EXIT

# check NAME: fails when its standard input has any line, and shows it.
check() {
    found=$(cat)
    if [ -z "$found" ]; then
        echo passed >>"$verdicts"
    else
        echo failed >>"$verdicts"
        printf 'guard: %s\n%s\n' "$1" "$found"
    fi
}

# A layer rule that nothing enforces leaks: lib/ would come to need a request.
grep -nE '#include *[<"](httpd|http_|ap_|mod_|util_|rensei_http_|auth_|token_|admin)' lib/*.[ch] support/*.[ch] |
    check 'lib/ and support/ include no header of httpd or of a module'

# Two copies of the live state would each think that it is the one.
for m in auth token admin; do
    for o in auth token admin; do
        [ $m = $o ] && continue
        grep -nE "#include *[<\"](mod_rensei_$o|${o}_)" mod_rensei_$m/*.[ch] | grep -v '"mod_rensei_auth.h"'
    done
done | check 'a module includes no other module'"'"'s header but the contract'

grep -nE '#include *[<"](auth_|token_|admin)' httpd/*.[ch] |
    check 'httpd/ includes no header of a module'

# APR loads modules RTLD_GLOBAL: with one more exported symbol the second
# module silently runs the first one's copy of the library.
for m in rensei_auth rensei_token rensei_admin; do
    nm -D --defined-only "$build/mod_$m.so" | awk '{print $3}' |
        grep -vx "${m}_module" | sed "s/^/mod_$m.so exports /"
    nm -D --defined-only "$build/mod_$m.so" | grep -q " ${m}_module$" ||
        echo "mod_$m.so does not export ${m}_module"
done | check 'a module exports its record alone'

# What each of them takes from an attacker who has found a fault is lost
# without a word when a flag is: a CFLAGS of the packager's own, a new linker.
# hardened FILE: what is not as it should be, a line each.
hardened() {
    dynamic=$(readelf -dW "$1")
    segments=$(readelf -lW "$1")
    symbols=$(readelf -sW --dyn-syms "$1")
    echo "$segments" | grep -q GNU_RELRO || echo "$1: no RELRO"
    echo "$dynamic" | grep -q 'BIND_NOW\|FLAGS_1.*NOW' || echo "$1: binds lazily, so RELRO is not full"
    echo "$segments" | grep 'GNU_STACK' | grep -q 'RWE' && echo "$1: its stack can be executed"
    echo "$segments" | grep -q 'LOAD.* RWE ' && echo "$1: a segment can be written and executed"
    echo "$dynamic" | grep -q 'TEXTREL' && echo "$1: its code is written to when it is loaded"
    echo "$dynamic" | grep -q 'RPATH\|RUNPATH' && echo "$1: looks for libraries in a folder of its own"
    echo "$symbols" | grep -q '__stack_chk_fail' || echo "$1: no stack protector"
    echo "$symbols" | grep -q '__[a-z]*_chk@' || echo "$1: no _FORTIFY_SOURCE"
    readelf -hW "$1" | grep -q 'Type:.*DYN' || echo "$1: not position independent"
}
# What the sanitizers made has checks of its own, and none of these.
if ! nm -D "$build/mod_rensei_auth.so" | grep -q __asan; then
    for f in "$build/mod_rensei_auth.so" "$build/mod_rensei_token.so" "$build/mod_rensei_admin.so" "$build/renseictl"; do
        hardened "$f"
    done
fi | check 'the modules and the tool are hardened'

# A directive that nobody can find, or that the sample configuration forgot.
directives=$(grep -hoE '"Rensei[A-Za-z]+"' lib/*.h mod_rensei_*/*.[ch] | tr -d '"' | sort -u)
for d in $directives; do
    grep -q "^### $d\$" docs/directives.md || echo "$d: no section in docs/directives.md"
    grep -q "$d" conf.d/rensei.conf || echo "$d: not in conf.d/rensei.conf"
done | check 'each directive is documented'
grep -hoE '^### Rensei[A-Za-z]+' docs/directives.md | sed 's/### //' | while read -r d; do
    echo "$directives" | grep -qx "$d" || echo "$d: documented, but not in the code"
done | check 'each documented directive exists'

# A number used twice sends the administrator to the wrong explanation.
grep -hoE 'RSLOG\([0-9]{4}\)' httpd/*.c mod_rensei_*/*.c | sort | uniq -d |
    check 'a log number is used once'
grep -hoE 'RSLOG\([0-9]{4}\)' httpd/*.c mod_rensei_*/*.c | grep -oE '[0-9]+' | while read -r n; do
    grep -q "^| RS$n |" docs/log-messages.md || echo "RS$n: not in docs/log-messages.md"
done | check 'each log number is documented'
grep -oE '^\| RS[0-9]{4}' docs/log-messages.md | grep -oE '[0-9]+' | while read -r n; do
    grep -q "RSLOG($n)" httpd/*.c mod_rensei_*/*.c || echo "RS$n: documented, but not in the code"
done | check 'each documented log number exists'

# Each has made holes elsewhere: no bound, or no way to tell a bad number.
grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|sscanf|atoi|atol|atoll|rand|srand|tmpnam|mktemp|system|popen)\(' lib/*.[ch] httpd/*.[ch] mod_rensei_*/*.[ch] support/*.[ch] |
    grep -vE '^[^:]+:[0-9]+: *(\*|/\*)' |
    check 'no banned function'

# On a stale connection PostgreSQL's dereferences NULL and kills the child, and
# either driver's commits a transaction that was abandoned.
grep -nE 'apr_dbd_transaction_(start|end)\(' lib/*.c httpd/*.c mod_rensei_*/*.c support/*.c |
    check 'transactions are our own statements, not apr_dbd'"'"'s'

# SQL anywhere else is SQL that nobody reviews for the organisation in it.
grep -nE '"[^"]*\b(SELECT|INSERT INTO|UPDATE|DELETE FROM) ' lib/*.c httpd/*.c mod_rensei_*/*.c support/*.c |
    grep -vE '^lib/rensei_(sql|schema|conn|store)\.c:' |
    check 'SQL is in lib/rensei_sql.c and lib/rensei_schema.c alone'

# A test that is never run asserts nothing.
for f in tests/unit/test_*.c; do
    n=$(basename "$f" .c | sed 's/^test_//')
    grep -q "SUITE($n)" tests/unit/suites.def || echo "$f is not in suites.def"
    grep -hoE 'START_TEST\([a-z0-9_]+\)' "$f" | sed 's/START_TEST(//; s/)//' | while read -r t; do
        [ "$(grep -cw "$t" "$f")" -ge 2 ] || echo "$f: $t is not added to its case"
    done
done | check 'each unit test is registered'

# Once the schema has moved on, a store of the version before cannot be made
# any more, and nobody knows whether an upgrade keeps what is in one.
now=$(sed -n 's/^#define RENSEI_SCHEMA_VERSION //p' lib/rensei_schema.h)
for v in $(seq 1 $((now - 1))); do
    for f in tests/fixtures/schema-$v.sql tests/fixtures/schema-$v.json; do
        [ -s "$f" ] || echo "$f is not there: make it with tests/fixtures/make.py of that version"
    done
done | check 'each earlier version of the schema has its fixture'

# A replay of nothing is no test.
sed -n 's/^TARGET(\(.*\))$/\1/p' tests/fuzz/targets.def | while read -r t; do
    [ -f "tests/fuzz/fuzz_$t.c" ] || echo "tests/fuzz/fuzz_$t.c is not there"
    [ -n "$(ls "tests/fuzz/corpus/$t" 2>/dev/null)" ] || echo "tests/fuzz/corpus/$t has no input"
done | check 'each fuzz target has its inputs'

# What is on a machine of ours is on no one else's.
git grep -nE '(^|[^a-z])/(work|farm)/|/root/|TODO|FIXME|\bXXX\b' -- . ':!tests/guards/run.sh' ':!LICENSE' ':!tests/e2e/node/package-lock.json' |
    check 'no path of a workplace, and no promise left in the code'

passed=$(grep -c passed "$verdicts")
failed=$(grep -c failed "$verdicts")
echo "guards: $passed passed, $failed failed"
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ]
