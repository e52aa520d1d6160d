#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The mount options that say how files are shown: each, and what is without it; in an image mount,
# in a directory mount and in writer/.  The images are those of winsample.h, which no writer of
# this project has made.
# shellcheck disable=SC2016 # what others shall expand
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse
have setfattr || skip_all "there is no setfattr"

new_dir; d=$dir
new_dir; m=$dir
"$top_builddir/tests/make-winimage" "$d" || exit 1

# one OPTIONS [NAME] - mount an image of the directory alone
one()
{
	start_cimfsd ${1:+-o "$1"} "$d/${2:-v2.cim}" "$m"
}

# all OPTIONS - mount the directory
all()
{
	start_cimfsd ${1:+-o "$1"} "$d" "$m"
}

# names FILE - of its xattrs
names()
{
	getfattr -h --absolute-names -m - -- "$1" | sed '/^#/d; /^$/d' | sort | tr '\n' ' '
}

# value FILE NAME - of an xattr
value()
{
	getfattr -h --absolute-names --only-values -n "$2" -- "$1"
}

# hex FILE NAME
hex()
{
	getfattr -h --absolute-names -e hex -n "$2" -- "$1" | sed -n 's/.*=0x//p'
}

# streams FILE - by the xattr that lists them
streams()
{
	value "$1" ntfs.streams.list | tr '\0' '|'
}

# list DIR - its names
list()
{
	find "$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | tr '\n' ' '
}

noent="No such file or directory"
inval="Invalid argument"
nodata="No such attribute"

# ---- values that are none ----

for option in uid= uid=x uid=5x uid=-1 uid=4294967295 gid=0x5 umask=9 umask=77777 fmask=-1 \
	dmask=022x abslinks= abslinks=Root streams_interface=on symlinkroot= symlinkroot=mnt \
	special_files=interix; do
	exits_with "$option is wrong usage" 2 "$CIMFSD" -f -o "$option" "$d" "$m"
	like "$option: the message names it" "$(cat "$scratch/out")" "\"$option\": "
done
for option in forceuid=1 nometadata= hide_hid_files=yes windows_name abslink=root; do
	exits_with "$option is no option" 2 "$CIMFSD" -f -o "$option" "$d" "$m"
done

# ---- owners and modes ----

one "" || exit 1
is "files without an owner are ours" "$(stat -c %u:%g "$m/Windows")" "$(id -u):$(id -g)"
is "umask 022 is the default" "$(stat -c %a "$m"/Windows/{System32,notepad.exe} | tr '\n' ' ')" \
	"755 755 "
is "read-only files have no write permission" "$(stat -c %a "$m/Windows/System32/hosts")" 555
is "an owner that is stored is shown" "$(stat -c %u:%g:%a "$m/eas/wsl")" 1000:1000:644
is "a part that is stored is shown, the rest made up" "$(stat -c %u:%g:%a "$m/eas/half")" \
	"5:$(id -g):755"
stop_cimfsd "$m"

one uid=123,gid=456,fmask=0133,umask=077,special_files=wsl || exit 1
is "uid=, gid=" "$(stat -c %u:%g "$m/Windows")" 123:456
is "fmask= goes before umask=, which is for directories" \
	"$(stat -c %a "$m"/Windows/{System32,notepad.exe} | tr '\n' ' ')" "700 644 "
is "uid=: a stored owner stays" "$(stat -c %u:%g:%a "$m/eas/wsl")" 1000:1000:644
is "fmask= is for special files, too" "$(stat -c %a "$m/special/fifo")" 644
is "links have all permissions" "$(stat -c %a "$m/Documents and Settings")" 777
stop_cimfsd "$m"

one dmask=0027,umask=0 || exit 1
is "dmask= goes before umask=, which is for files" \
	"$(stat -c %a "$m"/Windows/{System32,notepad.exe} | tr '\n' ' ')" "750 777 "
stop_cimfsd "$m"

one uid=123,gid=456,forceuid || exit 1
is "forceuid is for the owner of all files" "$(stat -c %u:%g "$m/eas/wsl")" 123:1000
stop_cimfsd "$m"
one uid=123,gid=456,forcegid || exit 1
is "forcegid is for the group of all files" "$(stat -c %u:%g "$m/eas/wsl")" 1000:456
stop_cimfsd "$m"
one uid=123,nometadata,fmask=0111 || exit 1
is "nometadata: no owner and no mode counts" "$(stat -c %u:%a "$m/eas/wsl")" 123:666
is "nometadata: types and devices do" "$(stat -c %F:%t:%T "$m/special/ntfs3-chr")" \
	"character special file:5:4d"
stop_cimfsd "$m"

# The same in writer/, and nothing of it is stored.
all uid=123,gid=456,forceuid,umask=0 || exit 1
is "a directory mount has the options as well" "$(stat -c %u:%g:%a "$m/v2.cim/eas/wsl")" \
	123:1000:644
ok "a writer is opened" ctl "$m" "create existing=v2.cim new=touched.cim"
w=$m/writer
is "writer/ has the options: of the base's files" \
	"$(stat -c %u:%g:%a "$w/eas/wsl" "$w/Windows/notepad.exe" | tr '\n' ' ')" \
	"123:1000:644 123:456:777 "
touch -d 2021-01-01 "$w/eas/wsl" "$w/Windows/notepad.exe" "$w/Windows/System32/hosts"
chmod 600 "$w/many/0001"
chown 7 "$w/many/0002"
echo new >"$w/new"
is "writer/ has the options: of files that changed" \
	"$(stat -c %u:%g:%a "$w/eas/wsl" "$w/Windows/notepad.exe" | tr '\n' ' ')" \
	"123:1000:644 123:456:777 "
ok "it is committed" ctl "$m" commit
stop_cimfsd "$m"
one uid=9,gid=9 touched.cim || exit 1
is "what was shown is not stored: a file that had an owner has that" \
	"$(stat -c %u:%g:%a "$m/eas/wsl")" 1000:1000:644
is "what was shown is not stored: a file that had none has none" \
	"$(stat -c %u:%g:%a:%Y "$m/Windows/notepad.exe")" "9:9:755:$(date -d 2021-01-01 +%s)"
is "read-only stays read-only without a mode" "$(stat -c %a "$m/Windows/System32/hosts")" 555
is "chmod gives a mode and no owner" "$(stat -c %u:%g:%a "$m/many/0001")" 9:9:600
is "chown gives an owner and no mode" "$(stat -c %u:%g:%a "$m/many/0002")" 7:9:755
is "new files have what they were made with" "$(stat -c %u:%a "$m/new")" "$(id -u):644"
stop_cimfsd "$m"

# ---- hidden files ----

one "" || exit 1
like "hidden files are listed without hide_hid_files" "$(list "$m")" 'Documents'
stop_cimfsd "$m"
all hide_hid_files || exit 1
ok "a writer is opened" ctl "$m" "create existing=v2.cim new=hidden.cim"
for at in v2.cim writer; do
	is "hide_hid_files: $at does not list them" "$(list "$m/$at/Windows/System32")" \
		"hosts kernel32.dll notepad.exe "
	ok "hide_hid_files: in $at they are there by their names" \
		ls "$m/$at/Windows/System32/config"
done
setfattr -n system.ntfs_attrib -v 0x00000000 "$m/writer/Windows/System32/config"
setfattr -n system.ntfs_attrib_be -v 0x00000022 "$m/writer/Windows/System32/hosts"
is "hide_hid_files: what is not hidden any more is listed, what is now is not" "$(list "$m/writer/Windows/System32")" \
	"config kernel32.dll notepad.exe "
is "hide_hid_files: what is hidden now is there" "$(wc -l <"$m/writer/Windows/System32/hosts")" 1
ctl "$m" close
stop_cimfsd "$m"

# ---- case ----

all "" || exit 1
ok "an image that minds case is made" ctl "$m" "create new=case.cim"
mkdir "$m/writer/Docs"
echo upper >"$m/writer/Docs/NAME"
echo lower >"$m/writer/Docs/name"
echo readme >"$m/writer/Docs/README"
printf 'straße' >"$m/writer/Docs/Ärger"
echo old >"$m/writer/Docs/Old"
ctl "$m" commit
fails_with "it does mind" "$noent" cat "$m/case.cim/docs/README"
ok "one from Windows does not" cat "$m/v2.cim/WINDOWS/system32/Kernel32.DLL"
stop_cimfsd "$m"
for how in one all; do
	if [ $how = one ]; then
		one ignore_case case.cim || exit 1
		at=$m
	else
		all ignore_case || exit 1
		at=$m/case.cim
	fi
	is "ignore_case ($how): another case is found" "$(cat "$at/docs/readMe")" readme
	is "ignore_case ($how): also beyond ASCII" "$(cat "$at/DOCS/ÄRGER")" straße
	is "ignore_case ($how): the exact one goes first" "$(cat "$at"/docs/{NAME,name})" \
		"upper
lower"
	fails_with "ignore_case ($how): what is not there is not there" "$noent" cat "$at/docs/readm"
	is "ignore_case ($how): names are listed as they are" "$(list "$at/docs")" \
		"NAME Old README name Ärger "
	[ $how = one ] && stop_cimfsd "$m"
done
ok "a writer is opened" ctl "$m" "create existing=case.cim new=case2.cim"
w=$m/writer
is "ignore_case: in writer/, a name of the base" "$(cat "$w/docs/readme")" readme
echo changed >"$w/DOCS/readme"
is "ignore_case: to write is to write that one" "$(list "$w/Docs"):$(cat "$w/Docs/README")" \
	"NAME Old README name Ärger :changed"
fails_with "ignore_case: a name in another case is taken" "File exists" mkdir "$w/Docs/rEADME"
echo new >"$w/Docs/New"
is "ignore_case: a new name in another case" "$(cat "$w/docs/NEW")" new
fails_with "ignore_case: it is taken as well" "File exists" mkdir "$w/Docs/neW"
rm "$w/docs/nEW" "$w/docs/oLD"
is "ignore_case: it is removed so" "$(list "$w/Docs")" "NAME README name Ärger "
fails_with "ignore_case: and is gone" "$noent" cat "$w/Docs/old"
echo again >"$w/docs/OLD"
mv "$w/docs/readme" "$w/docs/moved"
is "ignore_case: a removed name is free in any case; one is renamed" "$(list "$w/Docs")" \
	"NAME OLD moved name Ärger "
ctl "$m" commit
is "ignore_case: so it is committed" "$(list "$m/case2.cim/Docs"):$(cat "$m/case2.cim/docs/old")" \
	"NAME OLD moved name Ärger :again"
stop_cimfsd "$m"

# ---- names for Windows ----

all windows_names || exit 1
ok "a writer is opened" ctl "$m" "create existing=v2.cim new=names.cim"
w=$m/writer
for name in 'a:b' 'a"' 'a*' 'a<' 'a>' 'a?' 'a\b' 'a|' $'a\x01' 'a.' 'a ' con NUL.txt Com1 LPT9.c; do
	fails_with "windows_names: no file $name" "$inval" touch "$w/$name"
done
fails_with "windows_names: no directory" "$inval" mkdir "$w/aux"
fails_with "windows_names: no link" "$inval" ln -s x "$w/prn"
fails_with "windows_names: no hard link" "$inval" ln "$w/Windows/notepad.exe" "$w/x?"
fails_with "windows_names: no new name" "$inval" perl -e 'rename $ARGV[0], "$ARGV[0] " or die "$!\n"' "$w/Windows"
ok "windows_names: others are made" touch "$w/console" "$w/.com1" "$w/com0" "$w/é"
is "windows_names: what is there can be read" "$(cat "$w/names/c:d")" escaped
ok "windows_names: and renamed, and removed" mv "$w/names/c:d" "$w/names/cd"
ctl "$m" close
stop_cimfsd "$m"
all "" || exit 1
ctl "$m" "create new=free.cim"
ok "without windows_names, they are names" touch "$m/writer/"{'a:b','a?','a ',con}
ctl "$m" close
stop_cimfsd "$m"

# ---- links ----

# links ROOT - of the image at ROOT, with their targets, and those whose size is not that
links()
{
	find "$1" -type l -printf '%P %l\n' | sort
	find "$1" -type l | while read -r link; do
		[ "$(stat -c %s "$link")" -eq "$(readlink -n "$link" | wc -c)" ] || echo "size of $link"
	done
}

volume='Volume{01234567-89ab-cdef-0123-456789abcdef}'
# wanted DOCUMENTS ALL_USERS VOLUME - the targets of the links to drives; the others are as ever
wanted()
{
	cat <<-END
		Documents and Settings $1
		Users/All Users $2
		Users/Public/ntfs3 ../plain/target
		Users/Public/relative ../a
		Users/Public/rooted ../../Users/Public
		Users/Public/volume $3
		lxfs/link ../old/target
		special/lx ../a
		special/lx1 to/the:data
		special/nfs-lnk a/b
	END
}

root=(Users ../ProgramData "../../$volume/x")
raw=("\\??\\C:\\Users" "\\??\\C:\\ProgramData" "\\??\\$volume\\x")
rooted=(/mnt/w/c/Users /mnt/w/c/ProgramData "/mnt/w/$volume/x")
for how in one all; do
	at=$m
	[ $how = one ] || at=$m/v2.cim
	"$how" "" || exit 1
	is "links to drives lead from the image's root ($how)" "$(links "$at")" "$(wanted "${root[@]}")"
	is "they can be followed ($how)" "$(list "$at/Documents and Settings/Public")" \
		"$(list "$at/Users/Public")"
	stop_cimfsd "$m"
	"$how" abslinks=raw || exit 1
	is "abslinks=raw ($how)" "$(links "$at")" "$(wanted "${raw[@]}")"
	stop_cimfsd "$m"
	"$how" symlinkroot=/mnt/w/ || exit 1
	is "symlinkroot= ($how)" "$(links "$at")" "$(wanted "${rooted[@]}")"
	stop_cimfsd "$m"
done
one symlinkroot=/mnt,abslinks=root || exit 1
is "of abslinks= and symlinkroot= the last counts" "$(readlink "$m/Documents and Settings")" Users
stop_cimfsd "$m"
is "the tool follows the same links" \
	"$("$CIMFS" ls "$d/v2.cim" "Documents and Settings/Public")" \
	"$("$CIMFS" ls "$d/v2.cim" Users/Public)"

# Version 1 does not say where a file is.
one "" v1.cim || exit 1
is "a link whose place is not known is shown as stored" \
	"$(readlink "$m/Documents and Settings")" "${raw[0]}"
stop_cimfsd "$m"

all "" || exit 1
ctl "$m" "create existing=v2.cim new=links.cim"
w=$m/writer
mkdir -p "$w/deep/er"
mv "$w/Documents and Settings" "$w/deep/er/link"
mv "$w/Users" "$w/deep/Users"
is "a link that is moved leads to the same place" "$(readlink "$w/deep/er/link")" ../../Users
is "so does one in a directory that is" \
	"$(readlink "$w/deep/Users/All Users"):$(stat -c %s "$w/deep/Users/All Users")" \
	"../../ProgramData:17"
ctl "$m" commit
is "and so they do when they are committed" "$(readlink "$m/links.cim/deep/er/link")" ../../Users
stop_cimfsd "$m"

# ---- streams as xattrs ----

zip=Users/Public/download.zip
identifier=$'[ZoneTransfer]\r\nZoneId=3\r'
one "" || exit 1
is "streams are xattrs" "$(names "$m/$zip")" \
	"security.x user.Zone.Identifier user.empty user.sparse "
is "a stream's value" "$(value "$m/$zip" user.Zone.Identifier)" "$identifier"
is "an EA goes before a stream" "$(value "$m/eas/clash" user.foo)" bar
fails_with "there is no file of a stream" "$noent" cat "$m/$zip:Zone.Identifier"
stop_cimfsd "$m"
one streams_interface=none || exit 1
is "streams_interface=none: they are not shown" "$(names "$m/$zip")" ""
fails_with "streams_interface=none: nor answered" "$nodata" value "$m/$zip" user.Zone.Identifier
is "streams_interface=none: EAs are" "$(value "$m/eas/xattr" user.foo)" bar
stop_cimfsd "$m"
one streams_interface=openxattr || exit 1
is "streams_interface=openxattr: without a prefix" "$(names "$m/$zip")" \
	"Zone.Identifier empty ntfs-3g.security.x sparse "
is "streams_interface=openxattr: a value" "$(value "$m/$zip" Zone.Identifier)" "$identifier"
stop_cimfsd "$m"
all streams_interface=openxattr || exit 1
ctl "$m" "create existing=v2.cim new=open.cim"
w=$m/writer
ok "openxattr: a stream is set" setfattr -n fresh -v value "$w/$zip"
ok "openxattr: one is replaced" setfattr -n empty -v full "$w/$zip"
ok "openxattr: one is removed" setfattr -x sparse "$w/$zip"
ok "openxattr: names with a namespace are EAs" setfattr -n user.ea -v x "$w/$zip"
fails_with "openxattr: not so system." "Operation not supported" setfattr -n system.x -v x "$w/$zip"
ctl "$m" commit
is "openxattr: so it is committed" "$(names "$m/open.cim/$zip")$(value "$m/open.cim/$zip" empty)" \
	"Zone.Identifier empty fresh ntfs-3g.security.x user.ea full"
stop_cimfsd "$m"
one streams_interface=windows open.cim || exit 1
is "openxattr: streams are what was made" "$(cat "$m/$zip:fresh")" value
stop_cimfsd "$m"
all streams_interface=none || exit 1
ctl "$m" "create existing=v2.cim new=none.cim"
head -c 65000 /dev/zero | tr '\0' x >"$tmp/large"
ok "none: an xattr that fits is set" setfattr -n user.small -v x "$m/writer/$zip"
ok "none: so is a large one" setfattr -n user.large -v "$(head -c 40000 "$tmp/large")" \
	"$m/writer/$zip"
ok "none: what needs a stream is refused" \
	eval '! setfattr -n user.second -v "$(head -c 40000 "$tmp/large")" "$m/writer/$zip" 2>"$scratch/err"'
ctl "$m" close
stop_cimfsd "$m"

# ---- streams as files ----

for how in one all; do
	at=$m
	[ $how = one ] || at=$m/v2.cim
	"$how" streams_interface=windows || exit 1
	f=$at/$zip
	is "F:S is the stream ($how)" "$(cat "$f:Zone.Identifier")" "$identifier"
	is "of a directory, too ($how)" "$(cat "$at/Users/Public:on a directory")" yes
	is "they are listed by an xattr ($how)" "$(streams "$f")" \
		"big|empty|ntfs-3g.security.x|sparse|Zone.Identifier"
	is "which is empty where there are none ($how)" "$(streams "$at/Windows/notepad.exe")" ""
	is "they are no xattrs ($how)" "$(names "$f")" ""
	is "their sizes ($how)" "$(stat -c %s "$f":{big,empty,sparse} | tr '\n' ' ')" "100000 0 1000 "
	is "they are regular files with their file's attributes ($how)" \
		"$(stat -c '%F %a %h %Y' "$f:big")" "regular file $(stat -c '%a 1 %Y' "$f")"
	is "one of a directory is not executable ($how)" \
		"$(stat -c '%F %a' "$at/Users/Public:on a directory")" "regular file 644"
	is "their numbers are their own, and stay ($how)" \
		"$(stat -c %i "$f" "$f":{big,empty,sparse} | sort -u | wc -l):$(stat -c %i "$f:big")" \
		"4:$(forget_caches; stat -c %i "$f:big")"
	ok "holes in them are holes ($how)" cmp "$f:sparse" <(head -c 1000 /dev/zero)
	is "reads of a part ($how)" "$(tail -c 3 "$f:big")" BBB
	is "they are in no directory ($how)" "$(list "$at/Users/Public" | grep -c :)" 0
	fails_with "a stream that is not there ($how)" "$noent" cat "$f:other"
	fails_with "a file that is not there ($how)" "$noent" cat "$f.other:big"
	fails_with "a link has none ($how)" "$noent" cat "$at/Users/Public/relative:x"
	fails_with "a stream has no xattrs ($how)" "$nodata" value "$f:big" user.x
	is "a file that has a colon goes before ($how)" "$(cat "$at/names/a:b" "$at/names/c:d")" \
		rawescaped
	fails_with "they do not change ($how)" "Read-only file system" \
		bash -c 'echo >"$1:big"' sh "$f"
	stop_cimfsd "$m"
done

all streams_interface=windows || exit 1
ctl "$m" "create existing=v2.cim new=streams.cim"
w=$m/writer
f=$w/$zip
is "in writer/: a stream of the base" "$(cat "$f:Zone.Identifier")" "$identifier"
before=$(stat -c %y "$f")
echo more >>"$f:Zone.Identifier"
is "… is appended to" "$(tail -n 1 "$f:Zone.Identifier")" more
ok "… and its file has changed" test "$before" != "$(stat -c %y "$f")"
truncate -s 5 "$f:big"
is "… is truncated" "$(cat "$f:big"):$(stat -c %s "$f:big")" BBBBB:5
truncate -s 1M "$f:empty"
echo end >>"$f:empty"
is "… is extended, with a hole" "$(stat -c %s "$f:empty"):$(tail -c 4 "$f:empty")" 1048580:end
ok "a stream is copied to" cp "$tmp/large" "$f:copy"
ok "… and from" cp "$f:copy" "$tmp/copy"
same "… and is what it was" "$tmp/copy" "$tmp/large"
ok "a directory gets one" cp "$tmp/large" "$w/Windows:large"
ok "a new file gets one" bash -c 'echo main >"$1" && echo s >"$1:s"' sh "$w/fresh"
is "a file and its streams are apart" "$(cat "$w/fresh" "$w/fresh:s")" "main
s"
fails_with "a stream is made once" "cannot overwrite existing file" \
	bash -c 'set -C; echo x >"$1:s"' sh "$w/fresh"
chmod 640 "$w/fresh:s"
is "chmod of a stream is one of its file" "$(stat -c %a "$w/fresh")" 640
chmod 604 "$w/fresh"
is "chmod of a file is one of its streams" "$(stat -c %a "$w/fresh:s")" 604
touch -d 2001-01-01 "$w/fresh:s"
is "so are times" "$(stat -c %Y "$w/fresh")" "$(date -d 2001-01-01 +%s)"
fails_with "a stream gets no hard link" "not permitted" ln "$w/fresh:s" "$w/linked"
fails_with "… and no xattr" "not supported" setfattr -n user.x -v x "$w/fresh:s"
ok "mv makes a copy under another name" mv "$w/fresh:s" "$w/fresh:t"
is "… and removes the first" "$(cat "$w/fresh:t"):$(streams "$w/fresh")" s:t
ok "… also out of a stream, into one" \
	eval 'mv "$w/fresh:t" "$w/plain" && [ "$(cat "$w/plain")" = s ] && mv "$w/plain" "$w/fresh:u"'
is "… and there it is" "$(cat "$w/fresh:u"):$(streams "$w/fresh")" s:u
mv "$w/fresh" "$w/renamed"
is "streams go with their file" "$(cat "$w/renamed:u")" s
fails_with "… and are not where it was" "$noent" cat "$w/fresh:u"
ok "a name without a file is a file's" bash -c 'echo colon >"$1:s"' sh "$w/nothing"
like "… and is listed" "$(list "$w")" ' nothing:s '
exec 7<"$w/renamed:u" 8<"$w/Windows:large"
rm "$w/renamed"
fails_with "the streams of a removed file are gone" "$noent" cat "$w/renamed:u"
is "… but for those who have them open" "$(cat <&7)" s
rm "$w/Windows:large"
is "a stream that is removed while it is open is still there" "$(wc -c <&8)" 65000
exec 7<&- 8<&-
ok "one is removed" rm "$f:sparse"
fails_with "… and is gone" "$noent" cat "$f:sparse"
fails_with "… and not twice" "$noent" rm "$f:sparse"
for i in {1..50}; do
	echo "$i" >"$w/many/0003:$i"
done
is "a file has many" "$(cat "$w/many/0003":{1..50} | sort -n | uniq | wc -l)" 50
exec 7>"$w/many/0004:open"
echo written >&7
ok "they are committed, also one that is open" ctl "$m" commit
exec 7>&-
at=$m/streams.cim
is "an image has what was written: appended" "$(tail -n 1 "$at/$zip:Zone.Identifier")" more
is "… truncated, extended" "$(stat -c %s "$at/$zip":{big,empty} | tr '\n' ' ')" "5 1048580 "
same "… copied" "$at/$zip:copy" "$tmp/large"
is "… open at the commit" "$(cat "$at/many/0004:open")" written
is "… untouched" "$(cat "$at/$zip:ntfs-3g.security.x")" secure
is "… and no others" "$(streams "$at/$zip")/$(streams "$at/Windows")" \
	"big|copy|empty|ntfs-3g.security.x|Zone.Identifier/"
is "… all of the many" "$(cat "$at/many/0003":{1..50} | sort -n | uniq | wc -l)" 50
is "files are as they were" "$(list "$at")" \
	"Documents and Settings Users Windows eas lxfs many names nothing:s special tags "
stop_cimfsd "$m"
one "" streams.cim || exit 1
is "they are the streams that xattrs show" "$(value "$m/many/0003" user.7)" 7
stop_cimfsd "$m"

all streams_interface=windows,ignore_case || exit 1
ctl "$m" "create existing=case.cim new=both.cim"
echo stream >"$m/writer/docs/readme:One"
is "streams in any case, with ignore_case" "$(cat "$m/writer/Docs/ReadMe:oNE")" stream
ctl "$m" commit
is "… of an image, too" "$(cat "$m/both.cim/Docs/ReadMe:oNE")" stream
stop_cimfsd "$m"

# ---- what Windows keeps ----

one "" || exit 1
is "system.ntfs_* are answered, not listed" \
	"$(names "$m/Windows/System32/config")$(hex "$m/Windows/System32/config" system.ntfs_attrib_be)" \
	00000016
fails_with "user.DOSATTRIB is not" "$nodata" value "$m/Windows/System32/config" user.DOSATTRIB
stop_cimfsd "$m"
one list_ntfs_xattrs,dosattrib || exit 1
like "list_ntfs_xattrs lists those that have a value" "$(names "$m/Windows/System32/kernel32.dll")" \
	'system.dos_attrib .*system.ntfs_acl .*system.ntfs_attrib .*system.ntfs_crtime .*ntfs_times'
ok "… and no others" eval '! names "$m/Windows/notepad.exe" | grep -q "reparse_data\|ntfs_ea"'
is "dosattrib answers with the attributes" \
	"$(value "$m/Windows/System32/config" user.DOSATTRIB)" 0x16
stop_cimfsd "$m"
all dosattrib || exit 1
ctl "$m" "create existing=v2.cim new=attributes.cim"
w=$m/writer
ok "dosattrib: it is set in writer/" setfattr -n user.DOSATTRIB -v '"0x22"' "$w/Windows/notepad.exe"
fails_with "dosattrib: not to nonsense" "$inval" \
	setfattr -n user.DOSATTRIB -v hidden "$w/Windows/notepad.exe"
is "dosattrib: the attributes are that" \
	"$(hex "$w/Windows/notepad.exe" system.ntfs_attrib_be)" 00000022
ok "times are set" setfattr -n system.ntfs_crtime_be -v 0x01d5c03669050000 "$w/Windows/notepad.exe"
fails_with "of a stale size they are not" "$inval" \
	setfattr -n system.ntfs_crtime_be -v 0x01d5c0 "$w/Windows/notepad.exe"
# The kernel knows the file as it was.
touch "$w/becomes"
ls -l "$w" >"$scratch/out"
ok "a reparse buffer is set" \
	setfattr -n system.ntfs_reparse_data -v 0x1d0000a008000000020000002e2e2f61 "$w/becomes"
is "the file is a link then" "$(stat -c %F:%s "$w/becomes") $(readlink "$w/becomes")" \
	"symbolic link:4 ../a"
ok "it is taken away" setfattr -h -x system.ntfs_reparse_data "$w/becomes"
is "the file is one again" "$(stat -c %F "$w/becomes")" "regular empty file"
touch "$w/owned"
ls -l "$w" >"$scratch/out"
ok "an EA list is set: owner 7, mode 600" setfattr -n system.ntfs_ea \
	-v 0x1400000000060400244c585549440007000000001400000000060400244c584d4f44008081000000 \
	-- "$w/owned"
is "owner and mode are those" "$(stat -c %u:%a "$w/owned")" 7:600
ctl "$m" commit
f=$m/attributes.cim/Windows/notepad.exe
is "so they are committed" \
	"$(value "$f" user.DOSATTRIB) $(hex "$f" system.ntfs_crtime_be)" "0x22 01d5c03669050000"
fails_with "an image's are not set" "Read-only file system" \
	setfattr -n system.ntfs_attrib_be -v 0x00000000 "$f"
stop_cimfsd "$m"

# ---- what others may ----

if is_root && have setpriv; then
	other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	all allow_other,dosattrib || exit 1
	ctl "$m" "create existing=v2.cim new=others.cim"
	w=$m/writer
	chown 65534 "$w/Windows/notepad.exe"
	mine=$w/Windows/notepad.exe theirs=$w/Windows/System32/kernel32.dll
	eperm="Operation not permitted"
	ok "an owner sets attributes" \
		"${other[@]}" setfattr -n system.ntfs_attrib_be -v 0x00000002 "$mine"
	fails_with "nobody else does" "$eperm" \
		"${other[@]}" setfattr -n system.ntfs_attrib_be -v 0x00000002 "$theirs"
	fails_with "nor removes" "$eperm" \
		"${other[@]}" setfattr -x system.ntfs_ea "$theirs"
	fails_with "nor by another name" "Permission denied" \
		"${other[@]}" setfattr -n user.DOSATTRIB -v '"0x2"' "$theirs"
	fails_with "EAs, which have owners in them, are root's" "$eperm" \
		"${other[@]}" setfattr -n system.ntfs_ea -v 0x00 "$mine"
	fails_with "so are reparse points, which make devices" "$eperm" \
		"${other[@]}" setfattr -n system.ntfs_reparse_data -v 0x2500008000000000 "$mine"
	ctl "$m" close
	stop_cimfsd "$m"

	# File capabilities are shown where root has mounted.
	ctl_image=$tmp/capabilities
	mkdir "$ctl_image"
	echo x >"$ctl_image/file"
	setfattr -n security.capability -v 0x0100000200002000000000000000000000000000 \
		"$ctl_image/file"
	"$CIMFS" import -q "$d" capabilities.cim "$ctl_image"
	one "" capabilities.cim || exit 1
	is "root's mount shows file capabilities" "$(names "$m/file")" "security.capability "
	stop_cimfsd "$m"
	chmod 755 "$tmp"
	chown 65534 "$m"
	"${other[@]}" "$CIMFSD" "$d/capabilities.cim" "$m" >>"$scratch/log" 2>&1
	if mounted "$m"; then
		is "another user's does not" \
			"$("${other[@]}" getfattr -m - "$m/file" 2>&1)" ""
		fails_with "nor answers it" "$nodata" \
			"${other[@]}" getfattr -n security.capability "$m/file"
		"${other[@]}" fusermount3 -u "$m"
	else
		skip "another user's does not" "other users cannot mount here"
	fi
	chown 0 "$m"

	# Who may not write to the directory cannot open control for it, whatever the reason.
	if mount -t tmpfs none "$m" 2>"$scratch/err"; then
		new_dir; m2=$dir
		mount -o remount,ro "$m"
		start_cimfsd "$m" "$m2" || exit 1
		fails_with "on a read-only file system control cannot be opened for writing" \
			"Permission denied" bash -c ': >"$1/control"' sh "$m2"
		stop_cimfsd "$m2"
		umount "$m"
	fi
fi

plan
