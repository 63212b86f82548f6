#!/bin/sh
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
#
# packages.sh [--install] [--stamp FILE] PURPOSE...
# (PURPOSE: build, run, test, bench, lint, fuzz, coverage, valgrind)
#
# Are the Debian packages there that building, running or testing takes? With
# --install the missing ones are installed, where that is possible without a
# question (root, or sudo without a password). Otherwise prints the line to
# type, and exits 1. FILE is touched when something was installed, or when it
# was not there, so that make reads its variables again.
set -eu

packages_of() {
    case $1 in
    build) echo apache2-dev gcc libc6-dev pkg-config libapr1-dev \
        libaprutil1-dev libjansson-dev libssl-dev ;;
    # apache2-bin alone: the package apache2 would start a server on port 80.
    run) echo apache2-bin libaprutil1-dbd-sqlite3 curl ;;
    # Where the package apache2 is, Debian switches the two libapache2-mod on
    # for its server, too: without a directive they do nothing there.
    test) echo check python3 python3-pytest python3-authlib python3-requests \
        python3-requests-oauthlib python3-psycopg2 curl openssl postgresql \
        libaprutil1-dbd-pgsql nodejs npm libapache2-mod-auth-openidc \
        libapache2-mod-oauth2 ;;
    bench) echo wrk valgrind python3 util-linux libapache2-mod-auth-openidc \
        libapache2-mod-oauth2 nginx-light glewlwyd nodejs npm ;;
    fuzz) echo clang llvm libclang-rt-14-dev ;;
    coverage) echo gcovr ;;
    valgrind) echo valgrind ;;
    lint) echo clang-format clang-tidy cppcheck shellcheck ;;
    *) echo "packages.sh: no purpose is called $1" >&2
        exit 2 ;;
    esac
}

# These come in other packages as well (nodesource's nodejs has npm in it,
# pkgconf provides pkg-config): the tool counts.
tool_of() {
    case $1 in
    nodejs) echo node ;;
    npm | pkg-config | gcc | curl | openssl | python3) echo "$1" ;;
    esac
}

is_installed() {
    tool=$(tool_of "$1")
    if [ -n "$tool" ] && command -v "$tool" >/dev/null; then
        return
    fi
    dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null |
        grep -qx installed
}

missing_of() {
    for package in "$@"; do
        is_installed "$package" || echo "$package"
    done
}

# Root needs no sudo; anybody else, one that does not ask.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

can_be_root() {
    [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@" >&2
}

# Debian switches a module on in the system's own httpd when it is installed,
# and starts a server; tests and bench load and start them on their own.
switch_off() {
    for package in "$@"; do
        case $package in
        libapache2-mod-*)
            ! command -v a2dismod >/dev/null || as_root a2dismod -q -f \
                "$(printf '%s' "${package#libapache2-mod-}" | tr - _)" >&2 ;;
        nginx-light) service_off nginx ;;
        postgresql) service_off postgresql ;;
        glewlwyd) service_off glewlwyd ;;
        esac
    done
}

service_off() {
    as_root service "$1" stop >&2 || true
    as_root update-rc.d "$1" disable >&2 || true
}

install=no
stamp=
while [ $# -gt 0 ]; do
    case $1 in
    --install) install=yes ;;
    --stamp)
        stamp=$2
        shift
        ;;
    *) break ;;
    esac
    shift
done

wanted=
for purpose in "$@"; do
    wanted="$wanted $(packages_of "$purpose")"
done

if ! command -v dpkg-query >/dev/null; then
    echo "packages.sh: this is not Debian; what Debian calls$wanted" \
        "is taken to be there." >&2
    wanted=
fi

# shellcheck disable=SC2086 # names of packages: no spaces, no patterns
missing=$(missing_of $wanted | tr '\n' ' ')
missing=${missing% }

if [ -n "$missing" ]; then
    if [ "$install" = no ] || ! can_be_root; then
        echo "Packages are missing. Type:" >&2
        echo "  sudo apt-get install $missing" >&2
        exit 1
    fi
    echo "Installing: $missing" >&2
    # shellcheck disable=SC2086
    apt_install $missing || { as_root apt-get update >&2 &&
        apt_install $missing; }
    # shellcheck disable=SC2086
    switch_off $missing
fi

if [ -n "$stamp" ] && { [ -n "$missing" ] || [ ! -e "$stamp" ]; }; then
    mkdir -p "$(dirname "$stamp")"
    : >"$stamp"
fi
