#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# cimfs import --tar, cimfs export: what entries of a tar do to an image, bad ones, layers with
# whiteouts, and the way back.  Needs no mount and no privileges, but does more as root.
set -u

: "${top_srcdir:=.}"
# shellcheck source=tests/lib.sh
. "$top_srcdir/tests/lib.sh"

export LC_ALL=C.UTF-8 TZ=UTC
make_tar=$top_builddir/tests/make-tar
dir=$tmp/images
mkdir "$dir"

# ---- helpers ----

# tar_of - a tar of the lines on standard input, as make-tar has it
tar_of()
{
	"$make_tar"
}

# import NAME [OPTION…] - of the tar on standard input, quietly
import()
{
	local name=$1

	shift
	"$CIMFS" import -q --tar=- "$@" "$dir" "$name"
}

# imported NAME [OPTION…] - of the lines on standard input
imported()
{
	tar_of | import "$@"
}

# listing NAME - "path type mode uid gid links size mtime target" of all but the root
listing()
{
	"$CIMFS" export "$dir/$1" | tar -tvvf - --full-time --numeric-owner --quoting-style=escape |
		sed -n 's/  */ /g; / \.\/$/!p'
}

# names NAME - the paths of all but the root, in one line
names()
{
	"$CIMFS" export "$dir/$1" | tar -tf - --quoting-style=escape | grep -vxF ./ | tr '\n' ' ' |
		sed 's/ $//'
}

# content NAME PATH
content()
{
	"$CIMFS" cat "$dir/$1" "$2"
}

# digest NAME - of the whole tree
digest()
{
	"$CIMFS" hash "$dir/$1" | cut -d ' ' -f 1
}

# refused DESC REASON [OPTION…] - the lines on standard input are a tar that gives no image; what is
# said has the extended regular expression
refused()
{
	local desc=$1 reason=$2 status=0 before after

	shift 2
	before=$(ls -A "$dir")
	tar_of >"$tmp/bad.tar"
	timeout -k 5 "$LIMIT" "$CIMFS" import -q --tar="$tmp/bad.tar" "$@" "$dir" bad \
		>"$tmp/out" 2>&1 || status=$?
	after=$(ls -A "$dir")
	if [ "$status" -eq 1 ] && [ "$before" = "$after" ] && grep -Eq -- "$reason" "$tmp/out"; then
		pass "$desc"
	else
		fail "$desc" "exit status $status, wanted /$reason/, got:" "$(cat "$tmp/out")" \
			"$(diff <(echo "$before") <(echo "$after"))"
	fi
}

# ---- entries ----

tar_of >"$tmp/plain.tar" <<'END'
mtime 1000
dir d/
mode 0640
owner 1000 2000
file d/f hello\012
link d/hard d/f
mode 0777
symlink d/sym ../x
owner 0 0
mode 0600
fifo d/p
char d/c 1 3
END
ok "a plain tar is imported" import plain <"$tmp/plain.tar"
is "types, modes, owners, sizes and times are the tar's" "$(listing plain)" \
"drwxr-xr-x 0/0 0 1970-01-01 00:16:40 d/
crw------- 0/0 1,3 1970-01-01 00:16:40 d/c
-rw-r----- 1000/2000 6 1970-01-01 00:16:40 d/f
hrw-r----- 1000/2000 0 1970-01-01 00:16:40 d/hard link to d/f
prw------- 0/0 0 1970-01-01 00:16:40 d/p
lrwxrwxrwx 1000/2000 0 1970-01-01 00:16:40 d/sym -> ../x"
is "the data is the tar's" "$(content plain d/hard)" hello

# One without SHA-256, as those have who add a provider and do not name the usual one.
printf '%s\n' 'openssl_conf = o' '[o]' 'providers = p' '[p]' 'null = n' '[n]' 'activate = 1' \
	>"$tmp/openssl.cnf"
ok "digests do not depend on the system's openssl.cnf" \
	env OPENSSL_CONF="$tmp/openssl.cnf" "$CIMFS" import -q --tar="$tmp/plain.tar" "$dir" providers
is "… and are the same" "$(OPENSSL_CONF="$tmp/openssl.cnf" digest providers)" "$(digest plain)"

for filter in gzip zstd xz bzip2; do
	if have $filter; then
		$filter -c <"$tmp/plain.tar" >"$tmp/plain.$filter"
		ok "one compressed by $filter is imported from a pipe" import $filter \
			<"$tmp/plain.$filter"
		is "… and is the same" "$(listing $filter)" "$(listing plain)"
		head -c -12 "$tmp/plain.$filter" >"$tmp/cut"
		fails_with "one compressed by $filter that is cut off is refused" "cut: not made" \
			"$CIMFS" import -q --tar="$tmp/cut" "$dir" cut
	else
		skip "one compressed by $filter is imported from a pipe" "there is no $filter"
	fi
done

# Where libarchive is part of the program, it cannot be missing.
soname=$(sed -n 's/^#define ARCHIVE_SONAME "\(.*\)"/\1/p' "$top_builddir/config.h")
if [ -n "$soname" ] && have gzip; then
	mkdir "$tmp/lib"
	echo "no library" >"$tmp/lib/$soname"
	fails_with "what cannot be decompressed without libarchive is refused" \
		"decompress it first: gzip -dc FILE | cimfs import" \
		env LD_LIBRARY_PATH="$tmp/lib" "$CIMFS" import -q --tar="$tmp/plain.gzip" "$dir" none
	like "… with what the dynamic linker says" "$(cat "$scratch/out")" \
		"compressed by gzip, and libarchive.* cannot be loaded \\(.*$tmp/lib/$soname: "
	ok "… and a plain tar does not need it" \
		env LD_LIBRARY_PATH="$tmp/lib" "$CIMFS" import -q --tar="$tmp/plain.tar" "$dir" alone
	is "… and is the same" "$(listing alone)" "$(listing plain)"
else
	skip "what cannot be decompressed without libarchive is refused" "it is always there"
fi
printf '\37\213 no tar, nor any other archive' >"$tmp/no.tar"
fails_with "what begins as if it were compressed is refused" "no tar archive" \
	"$CIMFS" import -q --tar="$tmp/no.tar" "$dir" no
ok "a name that looks compressed is a name" imported magic <<'END'
file \037\213\010
END
is "… and is there" "$(names magic)" '\037\213\b'

ok "a directory may come after what is in it, or never" imported late <<'END'
mtime 7
file a/b/f 1
mtime 8
mode 0700
owner 5 6
dir a
END
is "… and has its metadata then, and what is in it" "$(listing late)" \
"drwx------ 5/6 0 1970-01-01 00:00:08 a/
drwxr-xr-x 0/0 0 1970-01-01 00:00:07 a/b/
-rw-r--r-- 0/0 1 1970-01-01 00:00:07 a/b/f"

ok "a later entry replaces an earlier one" imported again <<'END'
file f old
link g f
file f new
dir x
file x/y 1
file x now-a-file
file z 1
dir z
file z/in 1
END
is "… of any type" "$(names again)" "f g x z/ z/in"
is "… and another name of what it replaces keeps that" "$(content again g) $(content again f)" \
	"old new"

ok "a directory over a directory keeps what is in it" imported merge <<'END'
dir d
file d/1 1
dir d
file d/2 2
END
is "… all of it" "$(names merge)" "d/ d/1 d/2"

ok "dots and doubled slashes do not count" imported dots <<'END'
dir ./
dir .//a
file ././a/./b 1
link c ./a//b
END
is "… in a path" "$(names dots)" "a/ a/b c"

ok "a symlink to a directory of the base" imported links <<'END'
dir d
symlink s d
END
ok "… gets another name" imported links2 --from=links <<'END'
link h s
END
is "… and is one file" "$(listing links2 | cut -d ' ' -f 1,6-)" \
"drwxr-xr-x d/
lrwxrwxrwx h -> d
hrwxrwxrwx s link to h"

ok "names are bytes" imported bytes <<'END'
file \377\001\012x 1
pax path \303\050\134
file y 1
END
is "… whatever they are" "$(names bytes)" '\303(\\ \377\001\nx'

ok "numbers, names and times pass the header by PAX" imported pax <<END
pax path $(printf 'p%.0s' {1..120})/q
pax uid 4294967294
pax gid 3000000
pax mtime -1.25
file short 1
pax linkpath $(printf 'p%.0s' {1..120})/q
link l cut
END
is "… and are whole" "$("$CIMFS" export "$dir/pax" | tr '\0' '\n' |
	grep -a -o '^[0-9]* \(path\|uid\|gid\|mtime\|linkpath\)=.*' | cut -c 1-30 | sort -u)" \
"131 path=ppppppppppppppppppppp
15 gid=3000000
15 mtime=-1.25
18 uid=4294967294"

ok "GNU's long names, numbers in binary and old types" imported gnu <<END
xname $(printf 'n%.0s' {1..200})
set magic ustar\040\040
set uid \200\000\000\000\000\055\306\300
file cut 1
type \000 old 1
type \000 olddir/
type 7 contiguous 1
type V label
type D dump/ Yfile\000\000
END
is "… are read" "$(names gnu | tr ' ' '\n' | cut -c 1-12 | tr '\n' ' ')" \
	"contiguous dump/ nnnnnnnnnnnn old olddir/ "

ok "extended attributes and ACLs" imported xattr <<'END'
pax SCHILY.xattr.user.a 1
pax SCHILY.xattr.user.b\0453Dc 2
pax LIBARCHIVE.xattr.user.d%20e @xyz
pax SCHILY.xattr.system.unknown 1
pax SCHILY.acl.access user::rw-,user:7:r--,group::r--,mask::r--,other::---
file f 1
pax SCHILY.acl.default user::rwx,group::r-x,group:9:r-x,mask::r-x,other::r-x
dir d
file d/inherits-nothing 1
END
is "… are taken over, as text with numbers" "$("$CIMFS" export "$dir/xattr" | tr '\0' '\n' |
	grep -a -o 'SCHILY.*' | sort)" \
"SCHILY.acl.access=user::rw-,user:7:r--,group::r--,mask::r--,other::---
SCHILY.acl.default=user::rwx,group::r-x,group:9:r-x,mask::r-x,other::r-x
SCHILY.xattr.user.a=1
SCHILY.xattr.user.b%3Dc=2
SCHILY.xattr.user.d e=xyz"

ok "the forms of sparse files" imported sparse <<'END'
set magic ustar\040\040
set sparse 00000000000\00000000000001\00000000001000\00000000000002\000
set realsize 00000002000\000
type S gnu abb
pax GNU.sparse.size 1024
pax GNU.sparse.numblocks 2
pax GNU.sparse.offset 0
pax GNU.sparse.numbytes 1
pax GNU.sparse.offset 512
pax GNU.sparse.numbytes 2
file pax00 abb
pax GNU.sparse.size 1024
pax GNU.sparse.map 0,1,512,2
file pax01 abb
END
{
	printf 'a'; head -c 511 /dev/zero; printf 'bb'; head -c 510 /dev/zero
} >"$tmp/sparse.want"
for form in gnu pax00 pax01; do
	content sparse $form >"$tmp/sparse.got"
	same "… $form" "$tmp/sparse.got" "$tmp/sparse.want"
done
head -c 3000000 /dev/urandom >"$tmp/holes"
truncate -s 20M "$tmp/holes"
for format in gnu posix; do
	tar -C "$tmp" --format=$format -Scf "$tmp/holes.tar" holes
	ok "GNU tar's sparse file ($format)" import "holes-$format" <"$tmp/holes.tar"
	content "holes-$format" holes >"$tmp/sparse.got"
	same "… has its data where it belongs" "$tmp/sparse.got" "$tmp/holes"
	ok "… is exported with its holes" bash -c \
		"'$CIMFS' export '$dir/holes-$format' >'$tmp/holes2.tar' &&
		[ \$(stat -c %s '$tmp/holes2.tar') -lt 4000000 ]"
	tar -xOf "$tmp/holes2.tar" holes >"$tmp/sparse.got"
	same "… which GNU tar reads" "$tmp/sparse.got" "$tmp/holes"
done

ok "no entries are an empty image" imported empty </dev/null
is "… with a root" "$(names empty)" ""

# ---- bad input ----

refused "an absolute path" '^cimfs: /etc/x: the path is absolute' <<<'file /etc/x 1'
refused "a path with .." 'a/\.\./\.\./x: .*"\.\."' <<<'file a/../../x 1'
refused "a path that is .." '\.\.: ' <<<'dir ..'
refused "an empty path" 'without a name.*: .*empty' <<<'set name'$'\n''file x 1'
refused "a path with a NUL" 'its name has a NUL' <<'END'
pax path a\000b
file a 1
END
refused "a name of 256 bytes" 'does not fit' <<<"xname $(printf 'n%.0s' {1..256})"$'\nfile x 1'
refused "a path of 40000 bytes" 'too long' <<END
xname $(printf 'nn/%.0s' {1..14000})x
file x 1
END
refused "a name with control characters is shown harmlessly" 'a\\033\[2J/\.\./b' \
	<<<'file a\033[2J/../b 1'
refused "an entry under a symlink" 'd/x: there is a symlink' <<'END'
symlink d /etc
file d/x 1
END
refused "an entry under a file" 'd/x: there is a file' <<'END'
file d 1
file d/x 1
END
refused "an entry under a symlink to a directory of the tar" 's/x: there is a symlink' <<'END'
dir d
symlink s d
file s/x 1
END
refused "a hard link to nothing" 'l: it is a hard link to "nothing"' <<<'link l nothing'
refused "a hard link that comes before its target" 'l: it is a hard link to "f"' <<'END'
link l f
file f 1
END
refused "a hard link to a directory" 'l: .*directory' <<'END'
dir d
link l d
END
refused "a hard link through a symlink" 'l: it is a hard link to "s/f": there is a symlink' <<'END'
dir d
file d/f 1
symlink s d
link l s/f
END
refused "a hard link to the outside" 'l: it is a hard link to "../../etc/passwd"' \
	<<<'link l ../../etc/passwd'
refused "a hard link to an absolute path" 'l: it is a hard link to "/etc/passwd"' \
	<<<'link l /etc/passwd'
refused "a symlink to nothing" 's: it is a symlink to nothing' <<<'symlink s'
refused "a root that is no directory" 'only be a directory' <<<'file . 1'
refused "a type that is not known" 'x: it is of a type that is not known here, "Z"' <<<'type Z x 1'
refused "a part of a file of several volumes" 'not known here, "M"' <<<'type M x 1'
refused "an owner that is no number" 'x: its owner' <<<'set uid 12x'$'\n''file x 1'
refused "an owner past what is stored" 'x: its owner' <<<'pax uid 4294967295'$'\n''file x 1'
refused "a negative owner" 'x: its owner' \
	<<<'set uid \377\377\377\377\377\377\377\377'$'\n''file x 1'
refused "a mode that is no number" 'x: its mode' <<<'set mode rwxr-xr-x'$'\n''file x 1'
refused "a time that is no number" 'x: its mtime' <<<'pax mtime 1.2.3'$'\n''file x 1'
refused "a time with letters" 'x: its atime' <<<'pax atime now'$'\n''file x 1'
refused "a size that is no number" 'its size is no number' <<<'pax size 1k'$'\n''file x 1'
refused "a size in the header that is no number" 'size that is no number' \
	<<<'set size 99999999999'$'\n''file x 1'
refused "a negative size" 'size that is no number' \
	<<<'set size \377\377\377\377\377\377\377\377\377\377\377\377'$'\n''file x 1'
refused "a size past the archive" 'cut off' <<<'set size 77777777777'$'\n''file x 1'
refused "a size past any archive" 'does not fit|cut off' <<<'pax size 9223372036854775807'$'\n''file x 1'
refused "a record whose length lies" 'x: a PAX record has a length' \
	<<<'records 99\040path=y\012'$'\n''file x 1'
refused "a record whose length is too short" 'x: a PAX record has a length' \
	<<<'records 8\040path=y\012'$'\n''file x 1'
refused "a record of no length" 'x: a PAX record has a length' \
	<<<'records 0\040a=b\012'$'\n''file x 1'
refused "a record whose length passes any number" 'x: a PAX record has a length' \
	<<<'records 99999999999999999999999\040a=b\012'$'\n''file x 1'
refused "a record without a key" 'x: a PAX record has' <<<'records 6\040=b\012'$'\n''file x 1'
refused "a record without a value" 'x: a PAX record has no key' \
	<<<'records 6\040abc\012'$'\n''file x 1'
refused "a header that extends none" 'extends none' <<'END'
file x 1
type L x name\000
END
refused "an ACL that is none" 'x: its ACL' <<<'pax SCHILY.acl.access user:rwx'$'\n''file x 1'
refused "an ACL that lacks entries" 'x: its ACL lacks' \
	<<<'pax SCHILY.acl.access user::rwx'$'\n''file x 1'
refused "a default ACL of a file" 'x: its default ACL' <<'END'
pax SCHILY.acl.default user::rwx,group::r-x,other::r-x
file x 1
END
refused "an attribute that is no base64" 'x: its record LIBARCHIVE.xattr.user.a is no base64' \
	<<<'pax LIBARCHIVE.xattr.user.a !!!!'$'\n''file x 1'
{
	printf 'pax SCHILY.xattr.user.%05d x\n' {1..6000}
	echo file x 1
} >"$tmp/many.lines"
refused "more attributes than can be listed" 'x: it has more extended' <"$tmp/many.lines"
refused "a sparse map out of order" 'x: its map of a sparse file' <<'END'
pax GNU.sparse.size 1024
pax GNU.sparse.map 512,2,0,1
file x abb
END
refused "a sparse map past the file" 'x: its map of a sparse file' <<'END'
pax GNU.sparse.size 100
pax GNU.sparse.map 0,1,99,2
file x abb
END
refused "a sparse map that overflows" 'x: its map of a sparse file' <<'END'
pax GNU.sparse.size 9223372036854775807
pax GNU.sparse.map 9223372036854775807,3
file x abb
END
refused "a sparse map with less data than there is" 'x: its map of a sparse file' <<'END'
pax GNU.sparse.size 100
pax GNU.sparse.map 0,1
file x abb
END
refused "a sparse map that is no numbers" 'x: its map of a sparse file' <<'END'
pax GNU.sparse.major 1
pax GNU.sparse.realsize 100
file x two\0121\012
END
refused "a sparse map that counts too many" 'x: its map of a sparse file' <<'END'
pax GNU.sparse.major 1
pax GNU.sparse.realsize 100
file x 99999999999\0121\012
END
refused "a sparse file larger than the format" 'x: ' <<'END'
pax GNU.sparse.size 9223372036854775807
pax GNU.sparse.map 0,3
file x abb
END
refused "a block that is no header" 'damaged: at byte 1024' <<'END'
file x 1
bytes garbage
bytes \000
END
refused "a header with a wrong checksum" 'no tar archive|damaged' <<<'set checksum 0000000\000'$'\nfile x 1'
refused "an archive without its end" 'without its mark of the end' <<<$'file x 1\nnoend'
refused "what is no tar" 'no tar' <<'END'
noend
bytes hello,\040this\040is\040no\040tar
END
refused "an empty file" 'no tar' <<<noend
tar_of <<<$'big x 100000' | head -c 50000 >"$tmp/cut"
fails_with "an archive that is cut off in a file" "cut off" \
	"$CIMFS" import -q --tar="$tmp/cut" "$dir" cut
fails_with "a directory is no tar" "directory" "$CIMFS" import -q --tar="$tmp" "$dir" cut
fails_with "an archive that is not there" "No such file" \
	"$CIMFS" import -q --tar="$tmp/none" "$dir" cut
truncate -s 9M "$tmp/long"
{
	printf 'type x PaxHeader '
	tr '\0' a <"$tmp/long"
	printf '\nfile x 1\n'
} >"$tmp/long.lines"
refused "records past the limit" 'x: its extended header is too long' <"$tmp/long.lines"

"$make_tar" >"$tmp/bad.tar" <<'END'
file good 1
file ../bad 1
link l nothing
pax SCHILY.acl.access wrong
file half 1
file other 1
END
exits_with "--keep-going leaves out what is refused, and says it" 1 \
	"$CIMFS" import --keep-going --tar="$tmp/bad.tar" "$dir" kept
like "… naming each" "$(cat "$scratch/out")" '^cimfs: \.\./bad: '
like "… and their number" "$(cat "$scratch/out")" 'made without 3 entries'
is "… and makes the rest" "$(names kept)" "good other"
fails_with "--keep-going does not make up for a damaged archive" "not made" \
	bash -c "head -c 1000 '$tmp/plain.tar' | '$CIMFS' import -qk --tar=- '$dir' cut"
for ((i = 0; i < 30; i++)); do echo "file ../$i 1"; done | tar_of >"$tmp/many.tar"
"$CIMFS" import -q --tar="$tmp/many.tar" "$dir" cut 2>"$tmp/err"
is "without it, 20 are enough" "$(grep -c '\.\./' "$tmp/err")" 20
like "… and it says so" "$(tail -n 1 "$tmp/err")" 'not made: 20 errors or more'
exits_with "a tree and a tar are one too many" 2 "$CIMFS" import --tar=x "$dir" n "$tmp"
exits_with "neither is one too few" 2 "$CIMFS" import "$dir" n
exits_with "--keep-going is for tars" 2 "$CIMFS" import -k "$dir" n "$tmp"

"$make_tar" >"$tmp/keep.tar" <<'END'
file f first
pax SCHILY.acl.access wrong
file f second
symlink s x
END
exits_with "what is refused takes nothing away" 1 \
	"$CIMFS" import -qk --tar="$tmp/keep.tar" "$dir" keeps
is "… of what was there before" "$(content keeps f)" first
refused "a symlink's target past what Linux reads" 's: its target is too long' <<END
pax linkpath $(printf 't%.0s' {1..4096})
symlink s x
END

# ---- names that fold together ----

refused "two names that differ in case only" 'f: another name in the archive, "F", differs' \
	--case=insensitive <<'END'
file F 1
file f 2
END
refused "two directories that do" 'd/y: another name in the archive, "D"' --case=insensitive <<'END'
dir D
file D/x 1
file d/y 2
END
ok "the same name twice is no matter of case" imported folded --case=insensitive <<'END'
dir D
file D/X 1
file D/X 2
dir D
END
is "… and the last one counts" "$(names folded) $(content folded d/x)" "D/ D/X 2"
ok "in a fork another spelling replaces what the base has" imported respelled --from=folded <<'END'
dir d
file d/x 3
END
is "… under the new name" "$(content respelled D/X)" 3

# ---- layers ----

ok "a base layer" imported layer1 <<'END'
mtime 10
dir a
file a/keep 1
file a/gone 1
dir a/sub
file a/sub/1 1
dir opaque
file opaque/old 1
dir opaque/sub
file opaque/sub/old 1
file opaque/linked 1
dir replaced
file replaced/1 1
file linked one
link linked2 linked
END
ok "a layer with whiteouts on it" imported layer2 --from=layer1 <<'END'
mtime 20
file a/.wh.gone
file a/.wh.sub
file a/.wh.never-there
file not-there/.wh.x
file opaque/sub/new 1
link opaque/two opaque/linked
file opaque/.wh..wh..opq
file opaque/new 1
file .wh..wh.plnk/1.2 1
file .wh.replaced
file replaced now-a-file
file linked three
END
is "whiteouts take away what is below, and nothing else" "$(names layer2)" \
	"a/ a/keep linked linked2 opaque/ opaque/new opaque/sub/ opaque/sub/new opaque/two replaced"
is "a name of a replaced file's keeps what it was" "$(content layer2 linked2)" one
is "a directory keeps its time when only something in it changes" \
	"$(listing layer2 | grep ' a/$')" "drwxr-xr-x 0/0 0 1970-01-01 00:00:10 a/"
is "the layer below is what it was" "$(names layer1)" \
	"a/ a/gone a/keep a/sub/ a/sub/1 linked linked2 opaque/ opaque/linked opaque/old opaque/sub/ opaque/sub/old replaced/ replaced/1"
ok "a whiteout does not reach its own layer" imported layer3 --from=layer1 <<'END'
file a/new 1
file a/.wh.new
dir opaque
file opaque/x 1
file .wh.opaque
END
is "… before or after it" "$(names layer3 | tr ' ' '\n' | grep -e new -e opaque | tr '\n' ' ')" \
	"a/new opaque/ opaque/x "
refused "a whiteout of .." 'whiteout of "\.\."' <<<'file .wh...'
refused "a whiteout of nothing" 'whiteout of ""' <<<'file .wh.'
ok "--no-whiteouts takes the names as they are" imported no-wh --no-whiteouts <<'END'
file .wh.a 1
END
is "… and they are" "$(names no-wh)" .wh.a

# A tree, another, and the layer between them, as an engine would make it.
if is_root && have diff; then
	one=$tmp/one two=$tmp/two layer=$tmp/layer
	mkdir -p "$one"/{stays,goes,changes}/deep
	for ((i = 0; i < 40; i++)); do
		echo "$i" >"$one/$(shuf -n1 -e stays goes changes)/deep/$i"
	done
	ln "$one"/stays/deep "$one"/x 2>/dev/null || echo y >"$one/x"
	ln "$one/x" "$one/stays/y"
	chmod 2775 "$one/changes"; chown 3:4 "$one/changes"
	cp -a "$one" "$two"
	rm -r "$two/goes"
	mkdir "$two/changes/new" && echo n >"$two/changes/new/f"
	chmod 700 "$two/stays/deep"
	ln -s x "$two/link"
	tar -C "$one" --format=posix -cf "$tmp/one.tar" .
	mkdir -p "$layer/changes"
	cp -a "$two/changes/new" "$layer/changes/"
	cp -a "$two/link" "$layer/"
	mkdir -p "$layer/stays/deep"
	for d in . changes stays stays/deep; do
		chmod --reference="$two/$d" "$layer/$d"; chown --reference="$two/$d" "$layer/$d"
		touch -r "$two/$d" "$layer/$d"
	done
	touch "$layer/.wh.goes"
	touch -r "$two" "$layer"
	tar -C "$layer" --format=posix -czf "$tmp/layer.tar" .
	tar -C "$two" --format=posix -cf "$tmp/two.tar" .
	ok "the first tree's layer" import oci1 <"$tmp/one.tar"
	ok "the second's, a fork" import oci2 --from=oci1 <"$tmp/layer.tar"
	ok "the second tree itself" import flat <"$tmp/two.tar"
	is "layers give what the flattened tree is" \
		"$("$CIMFS" export "$dir/oci2" | tar -tvvf - --full-time)" \
		"$("$CIMFS" export "$dir/flat" | tar -tvvf - --full-time)"
	is "… to the digest" "$(digest oci2)" "$(digest flat)"
else
	skip "layers give what the flattened tree is" "not root"
fi

# ---- the way back ----

tree=$tmp/tree
mkdir -p "$tree/d/e" "$tree/$(printf 'l%.0s' {1..200})/$(printf 'm%.0s' {1..200})"
echo 1 >"$tree/d/e/f"
ln "$tree/d/e/f" "$tree/a-link"
ln -s "$(printf 's%.0s' {1..300})" "$tree/long-link"
mkfifo "$tree/p"
touch -d '1969-12-31 23:59:58' "$tree/p"
touch -d '2500-01-01 00:00:00.5' "$tree/d"
touch "$tree/"$'\xff\x80'
echo z >"$tree/$(printf 'l%.0s' {1..200})/$(printf 'm%.0s' {1..200})/z"
head -c 2000000 /dev/urandom >"$tree/big"
cp -a "$tmp/holes" "$tree/holes"
if is_root; then
	chown 3000000:4000000 "$tree/big"
	chmod 4711 "$tree/big"
	mknod "$tree/null" c 1 3
fi
setfattr -n user.x -v "$(printf 'v%.0s' {1..100})" "$tree/d" 2>/dev/null
setfattr -n user.a=b%c -v 1 "$tree/d" 2>/dev/null
setfacl -m u:77:rwx -d -m u:77:rwx "$tree/d" 2>/dev/null
ok "a tree is imported" "$CIMFS" import -q "$dir" tree "$tree"
"$CIMFS" export "$dir/tree" >"$tmp/1.tar"
ok "an export is imported" import back <"$tmp/1.tar"
"$CIMFS" export --tar="$tmp/2.tar" "$dir/back"
same "and exported again it is the same" "$tmp/1.tar" "$tmp/2.tar"
is "the trees have the same digest" "$(digest back)" "$(digest tree)"
for program in tar bsdtar; do
	if have $program && is_root; then
		mkdir "$tmp/$program"
		ok "$program extracts an export" $program -xpf "$tmp/1.tar" -C "$tmp/$program"
		ok "… and the trees are equal" diff -r --no-dereference \
			-x p -x null "$tree" "$tmp/$program"
		is "… in their metadata too" \
			"$(cd "$tmp/$program" && find . -mindepth 1 -printf '%P %y %m %U %G %n %l %Ts\n' | sort)" \
			"$(cd "$tree" && find . -mindepth 1 -printf '%P %y %m %U %G %n %l %Ts\n' | sort)"
	else
		skip "$program extracts an export" "no $program, or not root"
	fi
done
fails_with "an export does not go to a terminal" "terminal" \
	script -qec "'$CIMFS' export '$dir/tree'" /dev/null
fails_with "what cannot be written is said" "o space left" bash -c \
	"'$CIMFS' export --tar=/dev/full '$dir/tree'"
fails_with "an image that is not there" "no such image" "$CIMFS" export "$dir/none"
(
	cd "$tmp" || exit
	mkdir left && "$CIMFS" export --tar=left/x.tar "$dir/tree"
	"$CIMFS" export --tar=left/x.tar "$dir/none" 2>"$tmp/err"
)
is "a file appears under its name and no other" "$(ls -A "$tmp/left")" x.tar

ok "nothing of the images is damaged" "$CIMFS" fsck "$dir"

# A pipe that says nothing more: an interrupt ends the import, and leaves nothing.
before=$(ls -A "$dir")
mkfifo "$tmp/pipe"
"$CIMFS" import -q --tar="$tmp/pipe" "$dir" interrupted 2>"$tmp/err" &
pid=$!
exec 5>"$tmp/pipe"
head -c 1000 "$tmp/1.tar" >&5
wait_for grep -q . "/proc/$pid/cmdline"
sleep 0.2
kill -TERM $pid
wait $pid
is "a signal ends an import that waits" $? 143
exec 5>&-
is "… and leaves nothing" "$(ls -A "$dir")" "$before"

plan
