#!/bin/sh
# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
#
# install-conf.sh DESTDIR SYSCONFDIR LIBEXECDIR: the configuration part of
# `make install`. What an administrator has changed is left, and the new
# version put beside it.
set -eu

destdir=$1
sysconfdir=$2
libexecdir=$3
conf=$(dirname "$0")/../conf.d/rensei.conf

# Debian switches configurations and modules on with a2enconf and a2enmod.
if [ -d "$sysconfdir/conf-available" ]; then
    folder=$destdir$sysconfdir/conf-available
else
    folder=$destdir$sysconfdir/conf.d
fi

install_conf() {
    install -d "$folder"
    if [ -e "$folder/rensei.conf" ] && ! cmp -s "$conf" "$folder/rensei.conf"; then
        install -m 644 "$conf" "$folder/rensei.conf.new"
        echo "$folder/rensei.conf was changed, and is left: see rensei.conf.new"
    else
        install -m 644 "$conf" "$folder/rensei.conf"
    fi
}

# A module that another file loads too would be a warning at each start.
install_load() {
    name=$1
    shift
    cat >"$destdir$sysconfdir/mods-available/rensei_$name.load" <<END
# Depends: $*
<IfModule !rensei_${name}_module>
    LoadModule rensei_${name}_module $libexecdir/mod_rensei_$name.so
</IfModule>
END
}

install_conf
if [ -d "$sysconfdir/mods-available" ]; then
    install -d "$destdir$sysconfdir/mods-available"
    install_load auth dbd authn_core authz_core authz_user
    install_load token rensei_auth
    install_load admin rensei_auth
fi
