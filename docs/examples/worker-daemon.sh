#!/bin/sh
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
#
# A worker in shell, with curl (7.83 or later) and GNU date. It registers with
# a registration key, keeps a good runtime token in a file for the programs
# that do the work, and gets the next one in time. It ends by itself when the
# server refuses it for good: exit status 2.
#
#   RENSEI_URL         the gateway: https://gateway.example
#   RENSEI_KEY_FILE    a file with the registration key, its owner's alone
#                      (0600); or RENSEI_REGISTRATION_KEY
#   RENSEI_TOKEN_FILE  where the runtime token is kept
#   RENSEI_MAX_AGENTS  how much work at once (4)
#   RENSEI_MACHINE_ID  by which the server knows this machine again (made of
#                      /etc/machine-id)
#   RENSEI_POLL        a path to ask for work with the token, at the interval
#                      that the server gives; without it, none
#   RENSEI_MARGIN      seconds before its end to renew the token (a third of
#                      its life)
set -u
umask 077

say() {
    echo "worker: $*" >&2
}

give_up() {
    say "refused, $*"
    exit 2
}

url=${RENSEI_URL:?the URL of the gateway} url=${url%/}
token_file=${RENSEI_TOKEN_FILE:?where the token is kept}
agents=${RENSEI_MAX_AGENTS:-4}
host=$(uname -n)
backoff_max=60

# Never from the command line, which everybody on the machine can see; and what
# we start must not inherit it.
if [ -n "${RENSEI_KEY_FILE:-}" ]; then
    if [ -n "$(find "$RENSEI_KEY_FILE" -maxdepth 0 -perm /077)" ]; then
        say "$RENSEI_KEY_FILE can be read by others; chmod 600 it"
        exit 1
    fi
    key=$(cat "$RENSEI_KEY_FILE") || exit 1
else
    key=${RENSEI_REGISTRATION_KEY:?the registration key}
    unset RENSEI_REGISTRATION_KEY
fi

# Not the machine's own id, which is said to be kept to oneself
# (machine-id(5)), but the same one each time.
machine=${RENSEI_MACHINE_ID:-$({
    printf 'rensei-worker '
    cat /etc/machine-id 2>/dev/null || echo "$host"
} | sha256sum | cut -c1-32)}

# What stands in JSON below has nothing in it that would need an escape.
for word in "$host" "$machine"; do
    case $word in
    *[!A-Za-z0-9._-]*) say "not a plain name: $word"; exit 1 ;;
    esac
done
case $agents in
'' | *[!0-9]*) say "not a number: $agents"; exit 1 ;;
esac

stop() {
    trap - TERM INT
    [ -z "${sleeper:-}" ] || kill "$sleeper" 2>/dev/null
    exit 0
}
trap stop TERM INT

# A shell that waits for sleep does not hear a signal before its end.
pause() {
    sleep "$1" &
    sleeper=$!
    wait "$sleeper"
    sleeper=
}

newline='
'

# call CREDENTIAL METHOD PATH [BODY]: sets status (000: no answer), body,
# retry_after, date. The credential goes to curl by its standard input: in its
# arguments everybody would see it. Redirects are not followed, or who answers
# with one would be sent the credential.
call() {
    credential=$1 method=$2 path=$3
    shift 3
    out=$(printf 'header = "Authorization: Bearer %s"\n' "$credential" |
        curl --config - --silent --max-time 20 --request "$method" \
            ${1+--header 'Content-Type: application/json' --data-binary "$1"} \
            --write-out '\n%{http_code}\n%header{retry-after}\n%header{date}\n.' \
            "$url$path")
    credential=
    out=${out%"$newline".} # without that $() takes away empty lines
    date=${out##*"$newline"} out=${out%"$newline"*}
    retry_after=${out##*"$newline"} out=${out%"$newline"*}
    status=${out##*"$newline"} body=${out%"$newline"*}
    case $retry_after in
    '' | *[!0-9]*) retry_after=0 ;;
    esac
}

# A member of the answer. Those asked for are ids, tokens, times and sentences
# for a program: there is never a quote or an escape in them.
text() {
    printf '%s\n' "$body" | sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"
}
number() {
    printf '%s\n' "$body" | sed -n "s/.*\"$1\" *: *\([0-9][0-9]*\).*/\1/p"
}

# try CREDENTIAL METHOD PATH [BODY]: calls until there is an answer that stays,
# ever more slowly; gives up at $deadline, where that is set (status 000 or
# what was answered last).
try() {
    wait=1
    while :; do
        call "$@"
        case $status in
        000 | 429 | 5??) ;;
        *) return ;;
        esac
        # Not in step with all others that lost the same server.
        jitter=$(od -An -N1 -tu1 /dev/urandom)
        next=$((wait > 1 ? wait / 2 + jitter % (wait / 2 + 1) : 1))
        [ "$retry_after" -le "$next" ] || next=$retry_after
        if [ -n "${deadline:-}" ] && [ $(($(date +%s) + next)) -ge "$deadline" ]; then
            return
        fi
        say "no answer to go by ($status); again in $next s"
        pause "$next"
        wait=$((wait * 2 < backoff_max ? wait * 2 : backoff_max))
    done
}

# keep TOKEN EXPIRES_AT: replaces the file at once, so that nobody reads half a
# token. By the server's clock it lives so long; by ours, which may be wrong,
# so long from now.
keep() {
    token=$1
    life=$(($(date -u -d "$2" +%s) - $(date -u -d "$date" +%s)))
    ends=$(($(date +%s) + life))
    renew_at=$((ends - ${RENSEI_MARGIN:-$((life / 3))}))
    printf '%s\n' "$token" >"$token_file.new" && mv -f "$token_file.new" "$token_file"
}

# The key that registers does nothing else: what leaks later, with the work, is
# a token of minutes.
register() {
    deadline=
    try "$key" POST /api/workers/register \
        "{\"hostname\":\"$host\",\"maxAgents\":$agents,\"machineId\":\"$machine\"}"
    [ "$status" = 201 ] || give_up "$status: $(text error_description)"
    worker=$(text workerId)
    interval=$(($(number pollInterval) / 1000))
    keep "$(text runtimeJwt)" "$(text runtimeTokenExpiresAt)"
    say "registered as $worker"
}

# The next token, as long as the one before is good; after that, a new
# registration. 403 is no to the worker itself.
renew() {
    deadline=$ends
    try "$token" POST "/api/workers/$worker/refresh-token" '{}'
    case $status in
    200)
        keep "$(text runtimeJwt)" "$(text expiresAt)"
        say refreshed
        ;;
    401 | 404 | 000 | 429 | 5??)
        say "not refreshed, $status; registering again"
        register
        ;;
    *) give_up "$status: $(text error_description)" ;;
    esac
}

# Here a real worker would take work and do it.
poll() {
    call "$token" GET "$RENSEI_POLL"
    case $status in
    2??) strikes=0 ;;
    401)
        [ $strikes = 0 ] || give_up "with a new token as well: $(text error_description)"
        strikes=1
        renew # the token, or its worker, was revoked
        ;;
    *) say "no work, $status" ;;
    esac
}

strikes=0 # polls on end that were refused
register
while :; do
    left=$((renew_at - $(date +%s)))
    if [ -n "${RENSEI_POLL:-}" ] && [ "$interval" -lt "$left" ]; then
        left=$interval
    fi
    [ "$left" -le 0 ] || pause "$left"
    [ "$(date +%s)" -lt "$renew_at" ] || renew
    [ -z "${RENSEI_POLL:-}" ] || poll
done
