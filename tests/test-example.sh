#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The example as a user has it: built outside the tree against an installed library, found by
# pkg-config, and what it prints.  TAP.
set -eu

: "${top_srcdir:?}" "${top_builddir:?}" "${CIMFS:?}"

if [ -z "${CC-}" ] || ! command -v pkg-config >/dev/null; then
	echo "1..0 # SKIP needs a C compiler and pkg-config"
	exit 0
fi
if ${NM:-nm} -D "$top_builddir/.libs/libcimfs.so" | grep -qE '__(asan|tsan)_init'; then
	echo "1..0 # SKIP an instrumented library needs an instrumented program"
	exit 0
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

n=0
failed=0

# report NAME STATUS FILE - passes when STATUS is 0; FILE is the diagnosis when it is not
report()
{
	n=$((n + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $n - $1"
		return
	fi
	echo "not ok $n - $1"
	sed 's/^/# /' "$3"
	failed=1
}

cat >"$tmp/expected" <<'END'
made:
  image0.cim
    folder, attributes 0x10, 1 name(s)
    folder\hello.txt, attributes 0x20, 1 name(s)
      hello, world
      :notes a stream of its own
    folder\long.txt, attributes 0x20, 1 name(s)
      the quick brown fox jumps over the lazy dog
extended:
  image0.cim
    folder, attributes 0x10, 1 name(s)
    folder\hello.txt, attributes 0x20, 2 name(s)
      hello, world
      :notes a stream of its own
    folder\long.txt, attributes 0x20, 1 name(s)
      the quick brown fox jumps over the lazy dog
    link.txt, attributes 0x20, 2 name(s)
      hello, world
      :notes a stream of its own
forked:
  image1.cim
    folder, attributes 0x10, 1 name(s)
    folder\long.txt, attributes 0x20, 1 name(s)
      the quick brown fox jumps over the lazy dog
    folder\new.txt, attributes 0x20, 1 name(s)
      only in the fork
    link.txt, attributes 0x20, 1 name(s)
      hello, world
      :notes a stream of its own
  image0.cim
    folder, attributes 0x10, 1 name(s)
    folder\hello.txt, attributes 0x20, 2 name(s)
      hello, world
      :notes a stream of its own
    folder\long.txt, attributes 0x20, 1 name(s)
      the quick brown fox jumps over the lazy dog
    link.txt, attributes 0x20, 2 name(s)
      hello, world
      :notes a stream of its own
END

# The library alone, under a prefix of its own; the .pc file is told where that is.
prefix=$tmp/installed
status=0
make -C "$top_builddir" install-libLTLIBRARIES install-includeHEADERS install-pkgconfigDATA \
	libdir="$prefix/lib" includedir="$prefix/include" pkgconfigdir="$prefix/lib/pkgconfig" \
	>"$tmp/log" 2>&1 || status=$?
report "the library can be installed elsewhere" $status "$tmp/log"

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
read -ra cc <<<"$CC"
mkdir "$tmp/outside"
cp "$top_srcdir/examples/cimsample.c" "$tmp/outside"
cd "$tmp/outside"
status=0
{
	read -ra flags < <(pkg-config --define-variable=libdir="$prefix/lib" \
		--define-variable=includedir="$prefix/include" --cflags --libs cimfs)
	"${cc[@]}" -std=c11 -Wall -Wextra -Werror -o cimsample cimsample.c "${flags[@]}"
} >"$tmp/log" 2>&1 || status=$?
report "the example builds outside the tree, with what pkg-config says" $status "$tmp/log"

mkdir images
status=0
LD_LIBRARY_PATH=$prefix/lib ./cimsample images >"$tmp/printed" 2>&1 || status=$?
diff -u "$tmp/expected" "$tmp/printed" >"$tmp/log" || status=1
report "it prints what is in its images" $status "$tmp/log"

status=0
LD_LIBRARY_PATH=$prefix/lib ./cimsample images >"$tmp/printed" 2>&1 || status=$?
grep -q '^image0.cim: 0x80070050: .*image0.cim' "$tmp/printed" && [ $status -eq 1 ] || status=99
[ $status -eq 99 ] || status=0
report "a second time it says why it cannot" $status "$tmp/printed"

status=0
"$CIMFS" fsck images >"$tmp/log" 2>&1 || status=$?
report "its images are clean" $status "$tmp/log"

echo "1..$n"
exit $failed
