#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images as Windows makes them (winsample.h), read through the mount and by the tool: both show what
# test-windows-image.c finds in the reader.  Then what setfattr sets in writer/ is in the image, and
# an import from a mount that lists Windows' metadata takes it over.  TAP.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse
for program in getfattr setfattr jq; do
	have "$program" || skip_all "there is no $program"
done
maker=${top_builddir:=.}/tests/make-winimage
[ -x "$maker" ] || skip_all "there is no make-winimage"

# xattr FILE NAME - its value in hexadecimal, or nothing
xattr()
{
	getfattr -h --absolute-names -e hex -n "$2" -- "$1" 2>"$scratch/err" |
		sed -n 's/^[^=]*=0x//p'
}

# names FILE - the xattrs that are listed, on one line
names()
{
	getfattr -h --absolute-names -m - -- "$1" | grep -v -e '^#' -e '^$' | sort | tr '\n' ' '
}

# tool IMAGE PATH FILTER - what jq makes of what cimfs stat says
tool()
{
	"$CIMFS" stat --json "$dir/$1" "$2" | jq -r ".[0] | $3"
}

# le BYTES NUMBER - in hexadecimal, least significant byte first
le()
{
	local n=$2 i

	for ((i = 0; i < $1; i++)); do
		printf '%02x' $((n >> 8 * i & 255))
	done
}

lx=1400000000060400244c5855494400e803000000
lx+=1400000000060400244c5847494400e803000000
lx+=1400000000060400244c584d4f4400a481000000
lx_xattr=1c000000000b07004c582e555345522e464f4f006c786561626172
symlink=0c0000a01c00000008000800000008000100000
symlink+=02e002e005c0061002e002e005c006100
lx_symlink=1d0000a008000000020000002e2e2f61
sd=0100049448000000580000000000000014000000020034000200000000031400ff011f00
sd+=01010000000000051200000000001800a900120001020000000000052000000021020000
sd+=01020000000000052000000020020000010100000000000512000000

new_dir
ok "images of Windows' kind are made" "$maker" "$dir"
d=$tmp/mnt
mkdir "$d"
ok "cimfsd shows them" start_cimfsd "$dir" "$d"
is "all of them" "$(printf '%s ' "$d"/* | sed "s|$d/||g")" "control v1.cim v2.cim v3.cim "

me=$(id -u):$(id -g)
while read -r path want; do
	for image in v1 v2 v3; do
		is "$image: $path" \
			"$(stat -c '%A %u:%g %s %t,%T' "$d/$image.cim/$path")" "${want//ME/$me}"
	done
done <<'ROWS'
Windows/System32/kernel32.dll -rwxr-xr-x ME 12288 0,0
Windows/System32/hosts -r-xr-xr-x ME 21 0,0
Users/Public/relative lrwxrwxrwx ME 4 0,0
Users/Public/sparse.bin -rwxr-xr-x ME 1073741824 0,0
eas/wsl -rw-r--r-- 1000:1000 3 0,0
special/chr crw-r----- ME 0 8,493e0
special/blk brw------- ME 0 5,4d
special/fifo prw-r--r-- ME 0 0,0
special/sock srw-r--r-- ME 0 0,0
special/ntfs3-chr crw-rw-rw- ME 0 5,4d
special/ntfs3-sock srwxr-xr-x ME 0 0,0
special/nfs-chr crw-r--r-- ME 0 1,3
special/nfs-lnk lrwxrwxrwx ME 3 0,0
special/lx1 lrwxrwxrwx ME 11 0,0
lxfs/file -rwxr-x--- 501:502 3 0,0
lxfs/blk brw-r----- 501:502 0 7,9
tags/tombstone -rwxr-xr-x ME 9 0,0
tags/wci1/child -rwxr-xr-x ME 4 0,0
many/1099 -rwxr-xr-x ME 0 0,0
ROWS

for image in v1.cim v2.cim v3.cim; do
	i=$d/$image

	while read -r path want; do
		is "$image: the target of $path" "$(readlink "$i/$path")" "$want"
		is "$image: the tool says the same" "$(tool "$image" "$path" .target)" "$want"
	done <<'ROWS'
Users/Public/relative ../a
Users/Public/ntfs3 ../plain/target
special/lx ../a
special/lx1 to/the:data
special/nfs-lnk a/b
lxfs/link ../old/target
ROWS
	# Version 1 does not say in which directory a file is.
	[ "$image" = v1.cim ] || ok "$image: a mount point leads into the image" \
		cmp "$i/Documents and Settings/Public/download.zip" "$i/Users/Public/download.zip"

	dll=Windows/System32/kernel32.dll
	is "$image: a PE image is read as it was" "$(md5sum <"$i/$dll")" \
		"$(perl -e 'print chr(($_ * 7 + int($_ / 256)) & 255) for 0 .. 12287' | md5sum)"
	ok "$image: the tool reads the same" bash -c \
		"'$CIMFS' cat '$dir/$image' '$dll' | cmp - '$i/$dll'"
	is "$image: names that are no UTF-8 are found" "$(cat "$i/names/"e$'\xed\xb0\x80')" lone
	is "$image: and those with a colon" "$(cat "$i/names/a:b" "$i/names/c:d")" rawescaped

	id=$(tool "$image" "$dll" .id)
	t=$((132223104000000000 + id * 10000000 + 1234567))
	times=$(le 8 $t)$(le 8 $((t + 1)))$(le 8 $((t + 3)))$(le 8 $((t + 2)))
	is "$image: system.ntfs_times" "$(xattr "$i/$dll" system.ntfs_times)" "$times"
	is "$image: system.ntfs_crtime" "$(xattr "$i/$dll" system.ntfs_crtime)" "$(le 8 $t)"
	is "$image: the modification time" "$(stat -c %.7Y "$i/$dll")" \
		"$(((t + 1 - 116444736000000000) / 10000000)).1234568"
	is "$image: system.ntfs_attrib_be" "$(xattr "$i/$dll" system.ntfs_attrib_be)" 00000020
	is "$image: system.dos_attrib" \
		"$(xattr "$i/Windows/System32/config" system.dos_attrib)" 16
	is "$image: system.ntfs_acl" "$(xattr "$i/$dll" system.ntfs_acl)" "$sd"
	is "$image: the tool has the descriptor, too" "$(tool "$image" "$dll" .security.data)" "$sd"
	is "$image: and its text" "$(tool "$image" "$dll" .security.sddl)" \
		"O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;;0x1200a9;;;BU)"
	is "$image: WSL's owner and mode in system.ntfs_ea" \
		"$(xattr "$i/eas/wsl" system.ntfs_ea)" "$lx"
	is "$image: WSL's xattr in system.ntfs_ea" \
		"$(xattr "$i/eas/xattr" system.ntfs_ea)" "${lx_xattr}00"
	is "$image: a symlink's buffer in system.ntfs_reparse_data" \
		"$(xattr "$i/Users/Public/relative" system.ntfs_reparse_data)" "$symlink"
	is "$image: an LX symlink's" \
		"$(xattr "$i/special/lx" system.ntfs_reparse_data)" "$lx_symlink"
	is "$image: the tool has that, too" "$(tool "$image" special/lx .reparse_data)" "$lx_symlink"
	is "$image: what is not there is not answered" \
		"$(xattr "$i/$dll" system.ntfs_ea)$(xattr "$i/$dll" system.ntfs_object_id)" ""

	zip=Users/Public/download.zip
	is "$image: streams are listed as xattrs" "$(names "$i/$zip")" \
		"security.x user.Zone.Identifier user.empty user.sparse "
	is "$image: a stream's bytes" "$(xattr "$i/$zip" user.Zone.Identifier)" \
		"$(printf '[ZoneTransfer]\r\nZoneId=3\r\n' | od -An -tx1 | tr -d ' \n')"
	is "$image: the tool lists streams with their kinds" \
		"$(tool "$image" "$zip" '[.streams[] | "\(.name) \(.kind) \(.size)"] | join(",")')" \
		"$(
			if [ "$image" = v3.cim ]; then
				printf '%s' "Zone.Identifier data 26,big data 100000,empty data 0,"
				printf '%s' "ntfs-3g.security.x data 6,sparse sparse 1000"
			else
				printf '%s' "big data 100000,empty data 0,"
				printf '%s' "ntfs-3g.security.x data 6,sparse sparse 1000,"
				printf '%s' "Zone.Identifier data 26"
			fi
		)"
	is "$image: cat --stream reads one that no xattr can be" \
		"$("$CIMFS" cat --stream=big "$dir/$image" "$zip" | md5sum)" \
		"$(head -c 100000 /dev/zero | tr '\0' B | md5sum)"
	is "$image: old WSL's xattrs" "$(names "$i/lxfs/file")" "security.twoXX user.one "
	is "$image: where a PE image lies" \
		"$(tool "$image" "$dll" '"\(.data.kind) \(.data.mappings) \(.data.data_size)"')" \
		"pe 2 13312"
	is "$image: ls --json has attributes and streams" \
		"$("$CIMFS" ls --json "$dir/$image" Users/Public |
			jq -r '.[] | select(.name == "download.zip") | "\(.attributes) \(.streams | length)"')" \
		"32 5"
done
"$CIMFS" stat "$dir/v2.cim" Users/Public/relative eas/foreign >"$tmp/got"
cat >"$tmp/want" <<EOF
path: Users/Public/relative
id: $(tool v2.cim Users/Public/relative .id), in directory $(tool v2.cim Users/Public .id)
type: symlink
target: ../a
size: 4
blocks: 0
links: 1
mode: 0777 (lrwxrwxrwx)
uid: ${me%:*}
gid: ${me#*:}
accessed: 2020-01-01 00:00:13.1234570 +0000
modified: 2020-01-01 00:00:13.1234568 +0000
changed: 2020-01-01 00:00:13.1234569 +0000
created: 2020-01-01 00:00:13.1234567 +0000
attributes: 0x00000400 REPARSE_POINT
reparse: 0xA000000C SYMLINK, 36 bytes
data: data, 0 bytes

path: eas/foreign
id: $(tool v2.cim eas/foreign .id), in directory $(tool v2.cim eas .id)
type: file
size: 0
blocks: 0
links: 1
mode: 0755 (-rwxr-xr-x)
uid: ${me%:*}
gid: ${me#*:}
accessed: 2020-01-01 00:00:19.1234570 +0000
modified: 2020-01-01 00:00:19.1234568 +0000
changed: 2020-01-01 00:00:19.1234569 +0000
created: 2020-01-01 00:00:19.1234567 +0000
attributes: 0x00000080 NORMAL
ea: \$KERNEL.PURGE.X, flags 0x80, 3 bytes: 010203
ea: COMMENT, flags 0x00, 5 bytes: 706c6169 6e
data: data, 0 bytes
EOF
same "stat says in text what there is" "$tmp/got" "$tmp/want"
exits_with "stat of a file that is not there fails, and goes on" 1 \
	"$CIMFS" stat --json "$dir/v2.cim" nowhere eas
exits_with "stat without a path is wrong usage" 2 "$CIMFS" stat "$dir/v2.cim"
fails_with "cat of a stream that is not there says so" 'has no stream "nix"' \
	"$CIMFS" cat --stream=nix "$dir/v2.cim" eas
is "cat reads the stream of a directory" \
	"$("$CIMFS" cat --stream="on a directory" "$dir/v2.cim" Users/Public)" yes
like "ls shows attributes and streams where asked" \
	"$("$CIMFS" ls -l --attributes --streams "$dir/v2.cim" Users/Public | tr '\n' '~')" \
	'^----A-- -rwxr-xr-x .* download\.zip~ +100000 +download\.zip:big~'
is "letters in any case are found where the image says so" \
	"$(cat "$d/v1.cim/WINDOWS/system32/HOSTS" "$d/v2.cim/NAMES/"$'\xc3\xbc'mlaut.txt)" \
	$'127.0.0.1 localhost\r\numlaut'
fails_with "and not where it does not" "No such file" cat "$d/v3.cim/WINDOWS/system32/HOSTS"
fails_with "cat of a file with a slash behind it is refused" "Not a directory" \
	"$CIMFS" cat "$dir/v2.cim" Users/Public/download.zip/

# ---- what setfattr sets in writer/ is in the image ----

# put FILE NAME HEX
put()
{
	setfattr -h -n "$2" -v "0x$3" -- "$1"
}

ok "a fork of a Windows image is opened" ctl "$d" 'create existing=v2.cim new=fork.cim'
w=$d/writer
echo text >"$w/file"
mkdir "$w/new dir"
ln -s "new dir" "$w/link"
: >"$w/becomes a link"
declare -A want
for f in file "new dir" link; do
	ok "$f: the attributes are set" put "$w/$f" system.ntfs_attrib_be 00000022
	ok "$f: the descriptor is set" put "$w/$f" system.ntfs_acl "$sd"
	ok "$f: the times are set" put "$w/$f" system.ntfs_times "$times"
done
ok "the EA list is set" put "$w/file" system.ntfs_ea "$lx"
ok "the reparse buffer is set" put "$w/becomes a link" system.ntfs_reparse_data "$lx_symlink"
ok "the creation time is set" put "$w/becomes a link" system.ntfs_crtime_be 01d5c03669050000
ok "a file of the base gets one" put "$w/Windows/System32/hosts" system.ntfs_acl "$sd"
ok "times again, after what has changed them" put "$w/file" system.ntfs_times "$times"
fails_with "what every file has cannot be removed" "Operation not permitted" \
	setfattr -x system.ntfs_attrib "$w/file"
fails_with "no descriptor is refused" "Invalid argument" put "$w/file" system.ntfs_acl 00112233
is "they are not listed" "$(names "$w/file")" ""
all="ntfs_attrib ntfs_attrib_be ntfs_acl ntfs_security ntfs_times ntfs_times_be ntfs_crtime
	ntfs_crtime_be ntfs_reparse_data ntfs_ea dos_attrib"
for f in file "new dir" link "becomes a link" Windows/System32/hosts; do
	for name in $all; do
		want[$f/$name]=$(xattr "$w/$f" "system.$name")
	done
done
is "the writer gives back what was set" \
	"${want[file/ntfs_ea]} ${want[file/ntfs_times]}" "$lx $times"
is "a file that was given a buffer is a link" "$(readlink "$w/becomes a link")" ../a
ok "the fork is committed" ctl "$d" commit
for f in file "new dir" link "becomes a link" Windows/System32/hosts; do
	for name in $all; do
		is "fork.cim: $f: system.$name" "$(xattr "$d/fork.cim/$f" "system.$name")" \
			"${want[$f/$name]}"
	done
done
is "a directory is one on Windows" "${want[new dir/ntfs_attrib_be]}" 00000032
is "the owner of the EA list owns the file" "$(stat -c '%u %g %a' "$d/fork.cim/file")" \
	"1000 1000 644"
fails_with "nothing is set in an image" "Read-only file system" \
	put "$d/fork.cim/file" system.ntfs_attrib_be 00000000
ok "the mount goes" stop_cimfsd "$d"

# ---- an import from a mount that lists them takes them over ----

ok "cimfsd lists them where asked" start_cimfsd -o list_ntfs_xattrs "$dir" "$d"
like "all that a file has" "$(names "$d/fork.cim/file")" \
	'system\.ntfs_acl .*system\.ntfs_ea .*system\.ntfs_times_be '
source=$dir
new_dir
ok "an import takes them over" "$CIMFS" import -q "$dir" copy.cim "$d/fork.cim"
# shown IMAGE PATH - what Windows keeps of a file, but for the owner's EAs and the descriptor that each
# file gets here, and for where xattrs are
shown()
{
	"$CIMFS" stat --json "$1" "$2" | jq -S '.[0] | {attributes, mode, uid, gid, atime, mtime, ctime,
		btime, reparse_tag, reparse_data, target, xattrs: ([.xattrs[].name] | sort),
		security: (if .security.sddl? == "D:NO_ACCESS_CONTROL" then null else .security end),
		eas: [.eas[] | select(.name | test("^([$]LX|LX[.])") | not)]}'
}
for f in file "new dir" "becomes a link" Windows/System32/kernel32.dll eas/wsl eas/xattr \
	eas/foreign special/chr "Documents and Settings" Users/Public/download.zip; do
	shown "$source/fork.cim" "$f" >"$tmp/want"
	shown "$dir/copy.cim" "$f" >"$tmp/got"
	same "copy.cim: $f" "$tmp/got" "$tmp/want"
done
ok "the other mount goes" stop_cimfsd "$d"

plan
