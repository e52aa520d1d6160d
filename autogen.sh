#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Generates configure and Makefile.in in a fresh clone; run configure afterwards, in a directory of its own.
set -eu

cd -- "$(dirname -- "$0")"

# need COMMAND PACKAGE - the Debian package is named because the command alone rarely helps
need()
{
	command -v "$1" >/dev/null && return
	echo "autogen.sh: $1 not found; on Debian: apt-get install $2" >&2
	exit 1
}

need autoreconf autoconf
need automake automake
need libtoolize libtool
need pkg-config pkg-config

# aclocal refuses a macro directory that is not there
mkdir -p m4 build-aux
exec autoreconf --install --warnings=all
