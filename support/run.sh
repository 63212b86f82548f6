#!/bin/sh
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
#
# run.sh run|start|stop: a gateway of one's own, as `make run`, `make start`
# and `make stop` have it. The first start makes everything it needs in
# RUN_DIR; later ones keep it.
#
# Environment:
#   BUILD             where make has built (default: build)
#   RUN_DIR           where it lives (default: run)
#   PORT              on 127.0.0.1 (default: 8080)
#   CONF              a configuration file of your own, read last
#   M2M_JWT_SECRET    the secret that signs tokens; otherwise one is made
#   M2M_TOKEN_LIFETIME  seconds; otherwise 3600
set -eu
umask 022

WAIT_SECONDS=15

checkout=$(cd "$(dirname "$0")/.." && pwd -P)
BUILD=${BUILD:-$checkout/build}
PORT=${PORT:-8080}
RUN_DIR=${RUN_DIR:-}
CONF=${CONF:-}
url=http://127.0.0.1:$PORT

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "rensei: $*"
    exit 1
}

# What goes into httpd's configuration between quotes must not end them.
refuse_odd_path() {
    case $1 in
    *[!A-Za-z0-9_./+,=@~\ -]*)
        fail "$1: only letters, digits, spaces and _ . / + , = @ ~ - can be" \
            "in a path that goes into httpd's configuration." ;;
    esac
}

absolute() {
    case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s/%s\n' "$(pwd -P)" "$1" ;;
    esac
}

check_settings() {
    case $PORT in
    '' | *[!0-9]* | 0* | ??????*) fail "PORT=$PORT is not a port." ;;
    esac
    [ "$PORT" -le 65535 ] || fail "PORT=$PORT is not a port."
    stop_line="make stop"
    [ -z "$RUN_DIR" ] || stop_line="make stop RUN_DIR='$RUN_DIR'"
    RUN_DIR=$(absolute "${RUN_DIR:-$checkout/run}")
    refuse_odd_path "$RUN_DIR"
    BUILD=$(absolute "$BUILD")
    refuse_odd_path "$BUILD"
    if [ -n "$CONF" ]; then
        CONF=$(absolute "$CONF")
        refuse_odd_path "$CONF"
        [ -r "$CONF" ] || fail "CONF=$CONF cannot be read."
    fi
}

# Debian has /usr/sbin/apache2, which is not on everybody's PATH.
find_httpd() {
    PATH=$PATH:/usr/sbin:/sbin
    httpd=$(command -v apache2 || command -v httpd) ||
        fail "there is no apache2. Type: sudo apt-get install apache2-bin"
    command -v curl >/dev/null ||
        fail "there is no curl. Type: sudo apt-get install curl"
    modules=$(apxs -q LIBEXECDIR 2>/dev/null) || modules=/usr/lib/apache2/modules
}

# Behind any links, as is_running compares it.
resolve_run_dir() {
    if [ -d "$RUN_DIR" ]; then
        RUN_DIR=$(cd "$RUN_DIR" && pwd -P)
    fi
}

# ---- who runs it -------------------------------------------------------

# httpd started as root serves as another user, who owns the store.
find_user() {
    user=
    if [ "$(id -u)" = 0 ]; then
        for user in www-data apache httpd daemon nobody; do
            id "$user" >/dev/null 2>&1 && break
        done
        group=$(id -gn "$user")
    fi
}

as_user() {
    runuser -u "$user" -- "$@"
}

# Nothing in a folder that the user cannot pass through would be his, however
# it is owned: a checkout under /root, or in a mktemp -d of root's.
elsewhere() {
    # The sum tells /a-b/run from /a/b-run.
    printf '/var/tmp/rensei%s-%s\n' \
        "$(printf '%s' "$RUN_DIR" | tr '/ ' '--')" \
        "$(printf '%s' "$RUN_DIR" | cksum | cut -d ' ' -f 1)"
}

# In /var/tmp anybody may have made the folder first.
make_elsewhere() {
    if mkdir -m 711 "$1" 2>/dev/null; then
        return
    fi
    if [ -L "$1" ] || [ ! -d "$1" ] || [ "$(stat -c %u "$1")" != 0 ]; then
        fail "$1 is not a folder of root's. Look at it, and remove it."
    fi
}

link_elsewhere() {
    target=$(elsewhere)
    if [ ! -L "$RUN_DIR" ]; then
        [ ! -e "$RUN_DIR" ] || rmdir "$RUN_DIR" 2>/dev/null ||
            fail "$user cannot get to $RUN_DIR, and it is not empty. Move it" \
                "to where $user can, and say RUN_DIR=that."
    elif [ "$(readlink "$RUN_DIR")" = "$target" ]; then
        rm "$RUN_DIR"
    else
        fail "$RUN_DIR is a link to where $user cannot get."
    fi
    make_elsewhere "$target"
    mkdir -p "$(dirname "$RUN_DIR")"
    ln -s "$target" "$RUN_DIR"
    say "$user cannot get to $RUN_DIR: it is a link to $target now."
    RUN_DIR=$target
}

# Nothing is left behind where the user cannot get to.
parent_is_open() {
    parent=$(dirname "$RUN_DIR")
    while [ ! -d "$parent" ]; do
        parent=$(dirname "$parent")
    done
    as_user test -x "$parent"
}

# A store of somebody else's cannot be opened, nor his secret be trusted.
refuse_other_owner() {
    owner=$(stat -c %U "$RUN_DIR/data/store.db" 2>/dev/null) || return 0
    [ "$owner" = "${user:-$(id -un)}" ] ||
        fail "$RUN_DIR/data/store.db belongs to $owner. Say RUN_DIR=another."
}

# A folder with other things in it is not opened to the user.
is_ours() {
    [ ! -d "$RUN_DIR" ] || [ -d "$RUN_DIR/data" ] || [ -z "$(ls -A "$RUN_DIR")" ]
}

# With root, the folder is root's and only data/ the user's, who could put
# links where root writes otherwise (logs, httpd.pid). He must get past it.
make_run_dir() {
    if [ -n "$user" ] && { [ -L "$RUN_DIR" ] || ! parent_is_open; }; then
        link_elsewhere
    fi
    if [ -d "$RUN_DIR" ] && [ ! -w "$RUN_DIR" ]; then
        fail "you cannot write to $RUN_DIR. Say RUN_DIR=another."
    fi
    if [ -n "$user" ] && ! is_ours && ! as_user test -x "$RUN_DIR"; then
        fail "$RUN_DIR has other things in it, and $user cannot get past." \
            "Say RUN_DIR=another."
    fi
    mkdir -p "$RUN_DIR/logs"
    [ -d "$RUN_DIR/data" ] || mkdir -m 700 "$RUN_DIR/data"
    chmod 700 "$RUN_DIR/logs"
    refuse_other_owner
    if [ -n "$user" ]; then
        chmod o+x "$RUN_DIR"
        chown "$user:$group" "$RUN_DIR/data"
    fi
}

# ---- what a first start makes ------------------------------------------

ctl() {
    RENSEI_STORE=sqlite3:$RUN_DIR/data/store.db "$BUILD/renseictl" "$@"
}

make_store() {
    if [ ! -e "$RUN_DIR/data/store.db" ]; then
        # A key of a store that is gone opens nothing.
        rm -f "$RUN_DIR/admin.key"
        ctl db init ${user:+--owner "$user"} >/dev/null
    else
        ctl db migrate >/dev/null
    fi
}

# Each step by itself, so that a start that was interrupted is taken up.
make_admin() {
    [ ! -s "$RUN_DIR/admin.key" ] || return 0
    ctl org list --json | grep -q '"name": *"demo"' ||
        ctl org create demo >/dev/null
    ctl workspace list --org demo --json | grep -q '"name": *"default"' ||
        ctl workspace create --org demo default >/dev/null
    rm -f "$RUN_DIR/admin.key"
    ctl org api-keys create --org demo --name admin --type org \
        --owner demo --scopes '*' --secret-file "$RUN_DIR/admin.key" >/dev/null
}

make_secret() {
    if [ -n "${M2M_JWT_SECRET:-}" ]; then
        secret=env:M2M_JWT_SECRET
        return
    fi
    [ -s "$RUN_DIR/jwt.secret" ] ||
        ctl secret new --out "$RUN_DIR/jwt.secret" >/dev/null
    secret=file:$RUN_DIR/jwt.secret
}

make_conf() {
    sed -e "s|@MODULES@|$modules|g" -e "s|@BUILD@|$BUILD|g" \
        -e "s|@RUN_DIR@|$RUN_DIR|g" -e "s|@PORT@|$PORT|g" \
        -e "s|@CHECKOUT@|$checkout|g" -e "s|@SECRET@|$secret|g" \
        -e "s|@USER@|${user:+User $user}|g" \
        -e "s|@GROUP@|${user:+Group ${group:-}}|g" \
        -e "s|@CONF@|${CONF:+Include \"$CONF\"}|g" \
        "$checkout/conf.d/run.conf.in" >"$RUN_DIR/httpd.conf.new"
    mv "$RUN_DIR/httpd.conf.new" "$RUN_DIR/httpd.conf"
}

prepare() {
    check_settings
    find_httpd
    find_user
    resolve_run_dir
    if is_running; then
        return
    fi
    port_is_free || fail "port $PORT is taken. Choose another, such as:" \
        "make $verb PORT=$((PORT % 65535 + 1))"
    make_run_dir
    # Left behind, with a number that is another program's by now, it would
    # have httpd say that it runs already.
    rm -f "$RUN_DIR/httpd.pid"
    make_store
    make_admin
    make_secret
    make_conf
    logged=$({ cat "$RUN_DIR/logs/error.log" 2>/dev/null || :; } | wc -c)
}

# ---- the server --------------------------------------------------------

# The number in the file may be another program's by now.
is_running() {
    pid=$(cat "$RUN_DIR/httpd.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] &&
        tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF "$RUN_DIR/httpd.conf"
}

# curl's exit status 7: nobody takes the connection.
port_is_free() {
    rc=0
    curl -s -o /dev/null --noproxy '*' --max-time 2 "$url/" || rc=$?
    [ "$rc" = 7 ]
}

answers() {
    curl -s -o /dev/null --noproxy '*' --max-time 2 "$url/api/whoami"
}

# httpd's own messages on stderr go where the error log is, too.
serve() {
    # make hands on what was said on its command line.
    unset MAKEFLAGS MFLAGS MAKEOVERRIDES
    exec setsid "$httpd" -f "$RUN_DIR/httpd.conf" "$@"
}

print_where() {
    cat <<END
Gateway   $url
Files     $RUN_DIR
          admin.key: an org key of organisation "demo", to administer it with
          data/store.db  logs/  httpd.conf
Stop      $1

Try it, in another terminal:

client=\$(sed 's/^/Authorization: Bearer /' '$RUN_DIR/admin.key' | curl -sS '$url/api/admin/m2m-clients' -H @- -H 'Content-Type: application/json' -d '{"name":"try","scopes":["sessions:read"]}'); echo "\$client"
token=\$(echo "\$client" | sed 's/.*"clientId": *"\([^"]*\)".*"clientSecret": *"\([^"]*\)".*/grant_type=client_credentials\&client_id=\1\&client_secret=\2/' | curl -sS '$url/api/oauth/token' -d @- | sed 's/.*"access_token": *"\([^"]*\)".*/\1/'); echo "\$token"
echo "Authorization: Bearer \$token" | curl -sS '$url/api/whoami' -H @-; echo

END
}

# What httpd has logged since this start.
print_new_log() {
    tail -c +$((logged + 1)) "$RUN_DIR/logs/error.log" 2>/dev/null |
        tail -n 10 >&2
}

# A resized terminal sends SIGWINCH, which tells httpd to stop. So httpd gets
# a session of its own, without the terminal, and Ctrl-C is passed on.
run() {
    prepare
    if is_running; then
        fail "it runs already (pid $pid). Stop it with: $stop_line"
    fi
    # Before there is anything to stop: who is told to end in between would
    # leave a server behind that nobody waits for.
    child='' ended=''
    trap 'ended=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' \
        INT TERM HUP
    (serve -DFOREGROUND) &
    child=$!
    [ -z "$ended" ] || kill -TERM "$child" 2>/dev/null || :
    (wait_while "$child" && print_where "Ctrl-C") &
    rc=0
    while wait "$child" || rc=$?; kill -0 "$child" 2>/dev/null; do :; done
    # Over 128 it was a signal.
    if [ "$rc" != 0 ] && [ "$rc" -lt 128 ]; then
        print_new_log
        fail "httpd did not start."
    fi
}

explain_failure() {
    cat "$RUN_DIR/logs/start.log" >&2
    print_new_log
    fail "$1"
}

wait_for_answer() {
    tries=$((WAIT_SECONDS * 5))
    until is_running && answers; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] ||
            explain_failure "it does not answer at $url after $WAIT_SECONDS s."
        sleep 0.2
    done
}

# Until it answers, or is gone.
wait_while() {
    until answers; do
        kill -0 "$1" 2>/dev/null || return 1
        sleep 0.1
    done
}

start() {
    prepare
    if is_running; then
        grep -qx "Listen 127.0.0.1:$PORT" "$RUN_DIR/httpd.conf" ||
            fail "it runs already (pid $pid), on another port:" \
                "$(grep '^Listen' "$RUN_DIR/httpd.conf"). Stop it first: make stop"
        say "It runs already (pid $pid): $url"
        return
    fi
    (serve </dev/null >"$RUN_DIR/logs/start.log" 2>&1) ||
        explain_failure "httpd did not start."
    wait_for_answer
    print_where "$stop_line"
}

stop() {
    check_settings
    resolve_run_dir
    if ! is_running; then
        rm -f "$RUN_DIR/httpd.pid"
        say "It does not run."
        return
    fi
    kill -TERM "$pid" || fail "pid $pid cannot be stopped by you."
    tries=$((WAIT_SECONDS * 10))
    while [ -d "/proc/$pid" ] && is_running; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "pid $pid has not stopped."
        sleep 0.1
    done
    rm -f "$RUN_DIR/httpd.pid"
    say "Stopped."
}

verb=${1:-}
case $verb in
run) run ;;
start) start ;;
stop) stop ;;
*) fail "say run, start or stop" ;;
esac
