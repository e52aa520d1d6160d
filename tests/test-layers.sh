#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Layers of Windows containers as tars: what their records become, a delta on a base, and the way
# back.  Needs no mount and no privileges.
set -u

: "${top_srcdir:=.}"
# shellcheck source=tests/lib.sh
. "$top_srcdir/tests/lib.sh"

export LC_ALL=C.UTF-8 TZ=UTC
make_tar=$top_builddir/tests/make-tar
dir=$tmp/images
mkdir "$dir"

# Self-relative, with a DACL: administrators own it, SYSTEM has all, users may read.
sd_owner='\001\002\000\000\000\000\000\005\040\000\000\000\040\002\000\000'
sd_group='\001\001\000\000\000\000\000\005\022\000\000\000'
ace_system='\000\003\024\000\377\001\037\000\001\001\000\000\000\000\000\005\022\000\000\000'
ace_users='\000\003\030\000\251\000\022\000\001\002\000\000\000\000\000\005\040\000\000\000\041\002\000\000'
sd='\001\000\004\200\024\000\000\000\044\000\000\000\000\000\000\000\060\000\000\000'
sd=$sd$sd_owner$sd_group'\002\000\064\000\002\000\000\000'$ace_system$ace_users

# imported NAME [OPTION…] - of the lines on standard input, quietly
imported()
{
	local name=$1

	shift
	"$make_tar" | "$CIMFS" import -q --tar=- "$@" "$dir" "$name"
}

# exported NAME [OPTION…]
exported()
{
	local name=$1

	shift
	"$CIMFS" export "$@" "$dir/$name"
}

# names NAME - the paths of all but the root, in one line
names()
{
	exported "$1" | tar -tf - 2>"$scratch/err" | grep -vxF ./ | tr '\n' ' ' | sed 's/ $//'
}

# records NAME PATH [PATTERN] - the PAX records of an entry, sorted, a line each
records()
{
	exported "$1" | python3 "$tmp/records.py" "$2" | grep -E -- "${3-.}"
}

cat >"$tmp/records.py" <<'END'
import sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
    for entry in tar:
        if entry.name == sys.argv[1]:
            for key in sorted(entry.pax_headers):
                print(key + "=" + entry.pax_headers[key])
END
python=$(command -v python3) || python=

# refused DESC REASON - the lines on standard input are a tar that gives no image
refused()
{
	local status=0

	"$make_tar" >"$tmp/bad.tar"
	timeout -k 5 "$LIMIT" "$CIMFS" import -q --tar="$tmp/bad.tar" "$dir" bad \
		>"$tmp/out" 2>&1 || status=$?
	if [ "$status" -eq 1 ] && [ ! -e "$dir/bad" ] && grep -Eq -- "$2" "$tmp/out"; then
		pass "$1"
	else
		fail "$1" "exit status $status, wanted /$2/, got:" "$(cat "$tmp/out")"
	fi
}

# ---- a base layer, as go-winio and hcsshim write it ----

base()
{
	cat <<END
mtime 1600000000
mode 0
pax MSWINDOWS.fileattr 16
pax MSWINDOWS.rawsd @$sd
pax LIBARCHIVE.creationtime 1500000000.25
pax atime 1600000001
pax ctime 1600000002.5
dir Files
pax MSWINDOWS.fileattr 8208
pax MSWINDOWS.rawsd @$sd
dir Files/Windows
pax MSWINDOWS.fileattr 16
dir Files/Windows/System32
pax MSWINDOWS.fileattr 38
pax MSWINDOWS.rawsd @$sd
pax MSWINDOWS.xattr.\044KERNEL.PURGE.ESBCACHE @\001\002\000\003
pax MSWINDOWS.xattr.OTHER @value
pax LIBARCHIVE.creationtime -1.5
file Files/Windows/System32/ntdll.dll MZ-main
file Files/Windows/System32/ntdll.dll:Zone.Identifier [ZoneTransfer]
file Files/Windows/System32/ntdll.dll:big:\044DATA stream-two
pax MSWINDOWS.fileattr 32
pax MSWINDOWS.sd O:BAG:SYD:(A;;FA;;;SY)(A;;0x1200a9;;;BU)
file Files/Windows/explorer.exe exe
pax MSWINDOWS.fileattr 1040
pax MSWINDOWS.mountpoint 1
symlink Files/junction C:/Windows
pax MSWINDOWS.fileattr 1024
symlink Files/relative Windows/explorer.exe
pax MSWINDOWS.fileattr 1024
symlink Files/absolute //?/C:/Windows/explorer.exe
pax MSWINDOWS.fileattr 1024
symlink Files/unc //server/share/x
pax MSWINDOWS.fileattr 16
dir UtilityVM
pax MSWINDOWS.fileattr 16
dir UtilityVM/Files
mode 0644
link UtilityVM/Files/explorer.exe Files/Windows/explorer.exe
mode 0
pax MSWINDOWS.fileattr 16
dir Hives
pax MSWINDOWS.fileattr 32
file Hives/System_Base regf
END
}

base | "$make_tar" >"$tmp/base.tar"
ok "a base layer is imported" "$CIMFS" import -q --case=insensitive --tar="$tmp/base.tar" "$dir" base
is "its layout is kept" "$(names base)" \
	"Files/ Files/Windows/ Files/Windows/System32/ Files/Windows/System32/ntdll.dll Files/Windows/System32/ntdll.dll:big Files/Windows/System32/ntdll.dll:Zone.Identifier Files/Windows/explorer.exe Files/absolute Files/junction Files/relative Files/unc Hives/ Hives/System_Base UtilityVM/ UtilityVM/Files/ UtilityVM/Files/explorer.exe"
is "data is the main stream's" "$("$CIMFS" cat "$dir/base" Files/Windows/System32/ntdll.dll)" MZ-main
is "names fold" "$("$CIMFS" cat "$dir/base" files/WINDOWS/system32/NTDLL.DLL)" MZ-main
is "streams have their data, in both spellings" "$(exported base |
	tar -xOf - --wildcards 'Files/Windows/System32/ntdll.dll:*' 2>"$scratch/err")" \
	"stream-two[ZoneTransfer]"

if [ -n "$python" ]; then
	is "attributes, descriptor, EAs and the four times are kept" \
		"$(records base Files/Windows/System32/ntdll.dll)" \
"LIBARCHIVE.creationtime=-1.5
MSWINDOWS.fileattr=38
MSWINDOWS.rawsd=$(printf %b "$sd" | base64 -w0)
MSWINDOWS.xattr.\$KERNEL.PURGE.ESBCACHE=$(printf '\001\002\000\003' | base64)
MSWINDOWS.xattr.OTHER=$(printf value | base64)"
	is "… of a directory too" "$(records base Files)" \
"LIBARCHIVE.creationtime=1500000000.25
MSWINDOWS.fileattr=16
MSWINDOWS.rawsd=$(printf %b "$sd" | base64 -w0)
atime=1600000001
ctime=1600000002.5"
	like "a descriptor that is text becomes bytes" \
		"$(records base Files/Windows/explorer.exe rawsd)" '^MSWINDOWS.rawsd=AQAEg.{80}'
	is "what says nothing of a descriptor gets the default" \
		"$(records base Hives rawsd)" "MSWINDOWS.rawsd=$(printf '\001\000\004\200' |
			cat - /dev/zero | head -c 20 | base64 -w0)"
	is "a junction is one" "$(records base Files/junction 'mountpoint|fileattr|CIMFS')" \
"MSWINDOWS.fileattr=1040
MSWINDOWS.mountpoint=1"
	is "other links are symlinks, and need no record of ours" \
		"$(records base Files/absolute 'mountpoint|CIMFS'; records base Files/unc CIMFS)" ""
else
	skip "attributes, descriptor, EAs and the four times are kept" "no python3"
fi
is "targets are what they were" "$(exported base | tar -tvf - 2>"$scratch/err" |
	sed -n 's/.* -> //p' | tr '\n' ' ')" \
	"//?/C:/Windows/explorer.exe C:/Windows Windows/explorer.exe //server/share/x "
is "hard links are" "$(exported base | tar -tvf - 2>"$scratch/err" | sed -n 's/.* link to //p')" \
	Files/Windows/explorer.exe
is "no file has an owner or mode of Linux" "$(exported base | grep -a -c 'LXUID\|LXMOD')" 0

# ---- a delta ----

"$make_tar" >"$tmp/delta.tar" <<END
mtime 1700000000
pax MSWINDOWS.fileattr 16
dir Files
pax MSWINDOWS.fileattr 16
dir Files/windows
file Files/windows/.wh.explorer.exe
pax MSWINDOWS.fileattr 32
file Files/windows/new.txt new
file Files/windows/new.txt:s:\044DATA s
pax MSWINDOWS.fileattr 16
dir Hives
pax MSWINDOWS.fileattr 32
file Hives/System_Delta regf-delta
END
"$CIMFS" import --from=base --tar="$tmp/delta.tar" "$dir" delta >"$tmp/out" 2>"$tmp/err"
is "a delta is imported on its base" $? 0
like "it says that the registry is kept as it is" "$(cat "$tmp/err")" 'Hives: .*kept as it is'
like "whiteouts and directories over directories" "$(names delta)" \
	'^Files/ Files/Windows/ Files/Windows/System32/ Files/Windows/System32/ntdll.dll .* Files/Windows/new.txt Files/Windows/new.txt:s Files/absolute .* Hives/System_Base Hives/System_Delta .* UtilityVM/Files/explorer.exe$'
is "another name of what a whiteout took keeps it" \
	"$("$CIMFS" cat "$dir/delta" UtilityVM/Files/explorer.exe)" exe

# ---- the way back ----

for name in base delta; do
	exported $name >"$tmp/1.tar"
	ok "$name, exported, is imported" "$CIMFS" import -q --case=insensitive \
		--tar="$tmp/1.tar" "$dir" "$name.back"
	exported "$name.back" >"$tmp/2.tar"
	same "… and is the same again, with all that Windows has" "$tmp/1.tar" "$tmp/2.tar"
	is "… to the digest" "$("$CIMFS" hash "$dir/$name.back" | cut -d ' ' -f 1)" \
		"$("$CIMFS" hash "$dir/$name" | cut -d ' ' -f 1)"
done

if is_root; then
	chmod 711 "$tmp"
	chmod -R a+rX "$dir"
	exported base >"$tmp/1.tar"
	setpriv --reuid=65534 --regid=65534 --clear-groups "$CIMFS" export "$dir/base" >"$tmp/2.tar"
	same "an export does not depend on who makes it" "$tmp/1.tar" "$tmp/2.tar"
fi

# What records of others cannot say: EA flags, other reparse points, buffers laid out otherwise.
ok "what only our own records can say" imported own <<'END'
pax MSWINDOWS.fileattr 1056
pax CIMFS.reparse @\033\000\000\200\004\000\000\000abcd
file appexec 1
pax MSWINDOWS.fileattr 1024
pax CIMFS.reparse @\014\000\000\240\024\000\000\000\004\000\004\000\000\000\004\000\001\000\000\000a\000b\000a\000b\000
symlink print-first ab
pax MSWINDOWS.fileattr 32
pax CIMFS.eas @\000\000\000\000\200\001\001\000A\000v\000
file needs-ea 1
pax MSWINDOWS.fileattr 34
pax MSWINDOWS.xattr.\044LXUID @\350\003\000\000
pax MSWINDOWS.xattr.\044LXGID @\351\003\000\000
pax MSWINDOWS.xattr.\044LXMOD @\244\201\000\000
pax MSWINDOWS.xattr.LX.USER.A @lxeavalue
file hidden 1
pax MSWINDOWS.fileattr 16
dir .
file .:of-the-root stream
pax MSWINDOWS.fileattr 32
file colon 1
pax MSWINDOWS.fileattr 32
file colon:x is-a-file
file colon:x:y is-a-stream
END
exported own >"$tmp/1.tar"
ok "… is imported again" "$CIMFS" import -q --tar="$tmp/1.tar" "$dir" own2
exported own2 >"$tmp/2.tar"
same "… and is the same" "$tmp/1.tar" "$tmp/2.tar"
is "owner and mode are those among the EAs" "$("$CIMFS" ls -ln "$dir/own" hidden | cut -d ' ' -f 1-4)" \
	"-rw-r--r-- 1 1000 1001"
is "a colon makes a stream only of what has no records" "$(names own)" \
	".:of-the-root appexec colon colon:x colon:x:y hidden needs-ea print-first"
is "… and its data is there" "$("$CIMFS" cat "$dir/own" colon:x)" is-a-file

ok "nothing of the images is damaged" "$CIMFS" fsck "$dir"

# ---- Linux files and Windows files ----

ok "--windows=never takes them for Linux'" imported never --windows=never <<END
mode 0640
owner 7 8
pax MSWINDOWS.fileattr 2
pax MSWINDOWS.rawsd @$sd
file f 1
file f:s s
END
is "… all of them" "$(exported never | tar -tvf - --numeric-owner | sed -n 's/  */ /g; /[^.][^/]$/p' |
	cut -d ' ' -f 1,2,6)" "-rw-r----- 7/8 f
-rw-r----- 7/8 f:s"
ok "--windows=always takes all for Windows'" imported always --windows=always <<'END'
mode 0640
owner 7 8
dir d
file d/f 1
symlink d/l C:/x
END
is "… all of them" "$(exported always | grep -a -c 'LXUID')" 0
is "a symlink too" "$(exported always | tar -tvf - 2>"$scratch/err" | sed -n 's/.* -> //p')" C:/x
ok "BuildKit's layers have Linux' modes and no records on symlinks" imported buildkit <<END
mode 0755
pax MSWINDOWS.fileattr 16
pax MSWINDOWS.rawsd @$sd
pax LIBARCHIVE.creationtime 1700000000.5
dir Files
pax MSWINDOWS.fileattr 32
file Files/app.exe 1
symlink Files/link app.exe
END
is "… and are what they say" "$(names buildkit)" "Files/ Files/app.exe Files/link"
exported buildkit --windows=always >"$tmp/all.tar"
is "--windows=always gives every entry of an export its records" \
	"$(grep -a -c MSWINDOWS.fileattr "$tmp/all.tar")" \
	"$(tar -tf "$tmp/all.tar" 2>"$scratch/err" | wc -l)"
is "--windows=never gives none" "$(exported base --windows=never | grep -a -c MSWINDOWS)" 0
exits_with "--windows of something else is usage" 2 "$CIMFS" export --windows=x "$dir/base"

# ---- bad records ----

for value in x 4294967296 -1 0x10 '' 1.0; do
	refused "attributes \"$value\"" 'f: its record MSWINDOWS.fileattr' \
		<<<"pax MSWINDOWS.fileattr $value"$'\nfile f 1'
done
refused "a descriptor that is no base64" 'f: its record MSWINDOWS.rawsd is no base64' \
	<<<$'pax MSWINDOWS.rawsd AQAE*\nfile f 1'
refused "… that lacks padding" 'no base64' <<<$'pax MSWINDOWS.rawsd AQA\nfile f 1'
refused "… with bits that belong to no byte" 'no base64' <<<$'pax MSWINDOWS.rawsd AR==\nfile f 1'
refused "… with a newline" 'no base64' <<<$'pax MSWINDOWS.rawsd AQAE\\012AAA=\nfile f 1'
refused "a descriptor with an offset outside" '^cimfs: f: ' \
	<<<$'pax MSWINDOWS.rawsd @\\001\\000\\004\\200\\377\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\nfile f 1'
refused "a descriptor of one byte" '^cimfs: f: ' <<<$'pax MSWINDOWS.rawsd @\\001\nfile f 1'
refused "a descriptor that is no SDDL" '^cimfs: f: ' <<<$'pax MSWINDOWS.sd O:nobody\nfile f 1'
refused "an EA list that loops" '^cimfs: f: ' \
	<<<$'pax CIMFS.eas @\\374\\377\\377\\377\\000\\001\\000\\000A\\000\\000\\000\\001\nfile f 1'
refused "an EA list whose next entry is itself" '^cimfs: f: ' \
	<<<$'pax CIMFS.eas @\\004\\000\\000\\000\\000\\001\\000\\000A\\000\\000\\000\nfile f 1'
refused "an EA longer than its list" '^cimfs: f: ' \
	<<<$'pax CIMFS.eas @\\000\\000\\000\\000\\000\\001\\377\\377A\\000\nfile f 1'
refused "an EA whose value is no base64" 'f: its record MSWINDOWS.xattr.A is no base64' \
	<<<$'pax MSWINDOWS.xattr.A =\nfile f 1'
refused "an EA without a name" 'f: ' <<<$'pax MSWINDOWS.xattr. @x\nfile f 1'
refused "an EA name of 255 bytes" 'f: ' <<<"pax MSWINDOWS.xattr.$(printf 'A%.0s' {1..255}) @x"$'\nfile f 1'
refused "EAs past 64 KiB" 'f: .*too large' <<END
pax MSWINDOWS.xattr.A @$(head -c 40000 /dev/zero | tr '\0' x)
pax MSWINDOWS.xattr.B @$(head -c 40000 /dev/zero | tr '\0' x)
file f 1
END
refused "a reparse buffer over 16 KiB" 'f: ' <<END
pax CIMFS.reparse @\\033\\000\\000\\200\\370\\077\\000\\000$(head -c 16385 /dev/zero | tr '\0' x)
file f 1
END
refused "a reparse buffer whose length lies" 'f: ' \
	<<<$'pax CIMFS.reparse @\\033\\000\\000\\200\\377\\000\\000\\000abcd\nfile f 1'
refused "a reparse buffer of 3 bytes" 'f: ' <<<$'pax CIMFS.reparse @abc\nfile f 1'
refused "a link whose names lie outside" 'l: ' \
	<<<$'pax CIMFS.reparse @\\014\\000\\000\\240\\014\\000\\000\\000\\377\\000\\377\\000\\000\\000\\000\\000\\000\\000\\000\\000\nsymlink l x'
refused "a native link too long for its buffer" 'l: .*too long' <<END
pax MSWINDOWS.fileattr 1024
pax linkpath $(head -c 5000 /dev/zero | tr '\0' x)
symlink l x
END
refused "a stream without a name" 'f::.*without a name' <<'END'
pax MSWINDOWS.fileattr 32
file f 1
file f::$DATA x
END
refused "a stream that is sparse" 'f:s: .*sparse' <<'END'
pax MSWINDOWS.fileattr 32
file f 1
pax GNU.sparse.size 100
pax GNU.sparse.map 0,1
file f:s x
END

plan
