#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every way in which a request can be refused: the errno that the write to the control file gets,
# and the HRESULT, its symbol and the sentence that the same descriptor reads.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse

new_dir; d=$dir
new_dir; m=$dir
new_dir; m2=$dir

# ask MOUNTPOINT REQUEST - write it and read the result by one descriptor: the errno's text, "; ",
# the result
ask()
{
	# shellcheck disable=SC2016
	timeout -k 5 "$LIMIT" bash -c '
		exec 3<>"$1/control" || exit
		errno=$( (printf "%s" "$2" >&3) 2>&1 | sed "s/.*write error: //")
		echo "${errno:-Success}; $(sed -n "s/^result: //p" <&3)"' control "$1" "$2" 2>&1
}

# How an errno and an HRESULT belong together.
declare -A hresult_of=(
	["Success"]="0x00000000 S_OK"
	["Invalid argument"]="0x80070057 E_INVALIDARG"
	["Permission denied"]="0x80070005 E_ACCESSDENIED"
	["Device or resource busy"]="0x80070020 ERROR_SHARING_VIOLATION"
	["No such file or directory"]="0x80070002 ERROR_FILE_NOT_FOUND"
	["File exists"]="0x80070050 ERROR_FILE_EXISTS"
	["Structure needs cleaning"]="0x80070570 ERROR_FILE_CORRUPT"
)
inval="Invalid argument"
busy="Device or resource busy"
noent="No such file or directory"
exist="File exists"
corrupt="Structure needs cleaning"

# refused DESC REQUEST ERRNO WORD - the request gets that errno, its HRESULT, and a sentence with
# the word
refused()
{
	local answer want="$3; ${hresult_of[$3]} "

	answer=$(ask "$m" "$2")
	if [ "${answer#"$want"}" != "$answer" ] && grep -qF -- "$4" <<<"$answer" &&
		[ "$(wc -l <<<"$answer")" -eq 1 ]; then
		pass "$1"
	else
		fail "$1" "request: ${2:0:200}" "got:  $answer" "want: $want…$4…"
	fi
}

# accepted DESC REQUEST
accepted()
{
	refused "$1" "$2" Success ""
}

# quietly REQUEST - what must work for the next check to mean anything
quietly()
{
	ctl "$m" "$1" || fail "request \"$1\" goes through" "$(result "$m")"
}

mkdir "$tmp/tree"
echo text >"$tmp/tree/file"
"$CIMFS" import -q "$d" base.cim "$tmp/tree"
"$CIMFS" import -q "$d" other.cim "$tmp/tree"
"$CIMFS" import -q --case=insensitive "$d" ci.cim "$tmp/tree"
cp "$d/base.cim" "$d/bad.cim"
chmod u+w "$d/bad.cim"
printf '\377\377' | dd of="$d/bad.cim" bs=1 seek=62 conv=notrunc status=none
echo "not an image" >"$d/notes.txt"
mkdir "$d/subdirectory"
ln -s base.cim "$d/symlink"
mkfifo "$d/fifo"
(cd "$d" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$scratch/before"
start_cimfsd "$d" "$m" || exit 1

# ---- the language ----

refused "an unknown verb" "make new=x.cim" "$inval" make
refused "a verb in upper case" "CREATE new=x.cim" "$inval" CREATE
refused "a verb with an =" "create=new" "$inval" create=new
refused "an empty word as verb" "'' new=x.cim" "$inval" '""'
refused "create with an unknown key" "create new=x.cim size=3" "$inval" size
refused "create with a key in upper case" "create NEW=x.cim" "$inval" NEW
refused "create with a word that is no key" "create x.cim" "$inval" x.cim
refused "create with an unknown case" "create new=x.cim case=both" "$inval" both
refused "create with an empty case" "create new=x.cim case=" "$inval" case
refused "create without names" "create" "$inval" new=NAME
refused "create with a case alone" "create case=sensitive" "$inval" new=NAME
refused "create with new twice" "create new=x.cim new=y.cim" "$inval" new
refused "create with existing twice" "create existing=base.cim existing=base.cim" "$inval" existing
refused "create with case twice" "create new=x case=sensitive case=sensitive" "$inval" case
refused "commit with an argument" "commit x.cim" "$inval" x.cim
refused "close with an argument" "close x.cim" "$inval" x.cim
refused "delete without a name" "delete" "$inval" NAME
refused "delete with two names" "delete base.cim other.cim" "$inval" NAME
refused "an open '" "create new='x.cim" "$inval" quote
refused 'an open "' 'create new="x.cim' "$inval" quote
refused "a quote that the next line closes" $'create new="x\ny.cim"' "$inval" quote
refused "a backslash at the end" 'create new=x.cim\' "$inval" 'x.cim\'
refused "a line with a carriage return" $'create new=x.cim\r' "$inval" ""
refused "commit without a writer" commit "$inval" writer
refused "close without a writer" close "$inval" writer

ok "a comment is no request" ctl "$m" "# create new=x.cim"
ok "nor are empty lines" ctl "$m" $'\n \t\n\n'
is "so the last request is still the last" "$(sed -n 's/^last: \([a-z]*\).*/\1/p' "$m/control")" close
accepted "a request without a newline" "create new=x.cim"
accepted "blanks around words, and a comment behind" $' \tclose \t # it'
accepted "a # within a word, in quotes" "create new='#1.cim'#"
like "is part of it" "$(grep ^writer: "$m/control")" "#1\.cim"
quietly close

refused "of two requests the second" $'create new=x.cim\ncreat new=y.cim\nclose' "$inval" creat
ok "the first has been done, what is behind has not" test -d "$m/writer"
refused "of three requests the first" $'bogus\nclose\nclose' "$inval" bogus
ok "nothing is done behind it" test -d "$m/writer"
accepted "and close closes it" close

# send FILE - in one write, whatever is in it
send()
{
	dd if="$1" of="$m/control" bs=64k conv=notrunc status=none
}
{ printf 'create new=x.cim # '; head -c 4077 /dev/zero | tr '\0' x; } >"$tmp/4096"
{ cat "$tmp/4096"; echo; } >"$tmp/4097"
ok "4096 bytes are taken" send "$tmp/4096"
quietly close
fails_with "4097 bytes are too many" "$inval" send "$tmp/4097"
like "which is said" "$(result "$m")" '^0x80070057 E_INVALIDARG .*4096'
head -c 65536 /dev/zero | tr '\0' '\n' >"$tmp/64k"
fails_with "64 KiB of nothing are too many" "$inval" send "$tmp/64k"
printf 'create new=x\0y.cim\n' >"$tmp/nul"
fails_with "a NUL among the bytes" "$inval" send "$tmp/nul"
like "which is said" "$(result "$m")" '^0x80070057 E_INVALIDARG .*NUL'
printf '\377\376\033[31m new=\377\n' >"$tmp/binary"
fails_with "bytes that are no text" "$inval" send "$tmp/binary"
is "a state has three lines all the same, without control characters" \
	"$(tr -d '\n' <"$m/control" | tr -dc '\000-\037' | wc -c):$(wc -l <"$m/control")" 0:3
ok "nothing of all this has opened a writer" test ! -e "$m/writer"

# ---- names ----

long=$(head -c 255 /dev/zero | tr '\0' n)
for name in "''" . .. / a/b ../x.cim control writer region_1 objectid_1 .cimfs .cimfs-1 \
	$'tab\there' $'escape\033' $'delete\177' "${long}n"; do
	shown=$(tr -c '[:print:]' '?' <<<"${name:0:20}" | tr -d '\n')
	refused "a new image may not be called ${shown%\?}" "create new=\"${name//\'/}\"" "$inval" ""
	refused "nor an existing one" "create existing=\"${name//\'/}\" new=x.cim" "$inval" ""
	refused "nor one to be deleted" "delete \"${name//\'/}\"" "$inval" ""
done
for name in "$long" .hidden controls Control writer.cim region objectid cimfs '*' "a b" ü $'\377' \
	-rf '\\' new=x; do
	accepted "a new image may be called ${name:0:20}" "create new='$name'"
	quietly close
done

# ---- each row of the table of CimCreateImage ----

refused "E is not there" "create existing=none.cim" "$noent" none.cim
refused "E is not there, N is not" "create existing=none.cim new=x.cim" "$noent" none.cim
refused "E is not there, N is the same" "create existing=none.cim new=none.cim" "$noent" none.cim
refused "N is an image" "create new=base.cim" "$exist" base.cim
refused "N is another image than E" "create existing=base.cim new=other.cim" "$exist" other.cim
refused "N is a damaged image" "create new=bad.cim" "$exist" bad.cim
for name in notes.txt subdirectory symlink fifo; do
	refused "N is another file: $name" "create new=$name" "$exist" "$name"
	refused "E is no image: $name" "create existing=$name" "$corrupt" ""
	refused "E is no image to fork: $name" "create existing=$name new=x.cim" "$corrupt" ""
done
refused "E is damaged" "create existing=bad.cim" "$corrupt" ""
refused "E is damaged, N is new" "create existing=bad.cim new=x.cim" "$corrupt" ""
refused "a fork in another case" "create existing=base.cim new=x.cim case=insensitive" "$inval" case
refused "an insensitive image's fork in another case" \
	"create existing=ci.cim new=x.cim case=sensitive" "$inval" case
for request in "existing=base.cim" "existing=base.cim new=base.cim" "existing=base.cim new=x.cim" \
	"new=x.cim" "existing=base.cim case=sensitive" "existing=ci.cim new=x.cim case=insensitive"; do
	accepted "create $request" "create $request"
	quietly close
done

# The first that fails is the answer.
refused "a bad name comes before E that is not there" "create existing=none.cim new=a/b" "$inval" a/b
refused "E that is not there before N that is" "create existing=none.cim new=base.cim" "$noent" none.cim
refused "N that is there before E that is damaged" "create existing=bad.cim new=base.cim" "$exist" base.cim
quietly "create new=x.cim"
refused "create while a writer is open" "create new=y.cim" "$busy" "pid $daemon"
refused "also of the same name" "create new=x.cim" "$busy" "another writer"
refused "a bad name comes before the other writer" "create new=a/b" "$inval" a/b
refused "the other writer before E that is not there" "create existing=none.cim" "$busy" "another writer"
refused "and before N that is" "create new=base.cim" "$busy" "another writer"
refused "delete while a writer is open" "delete other.cim" "$busy" "another writer"
ok "the writer is not disturbed" touch "$m/writer/file"
ok "the image neither" cmp "$tmp/tree/file" "$m/other.cim/file"
quietly close

refused "delete of what is not there" "delete none.cim" "$noent" none.cim
refused "delete of what is no image" "delete notes.txt" "$corrupt" notes.txt
ok "which stays" test -f "$d/notes.txt"
refused "delete beside an image that cannot be read" "delete other.cim" "$corrupt" bad.cim
ok "which may need what it has" test -f "$d/other.cim"
mv "$d/bad.cim" "$scratch/"

# N is looked for again at commit.
quietly "create new=late.cim"
echo data >"$m/writer/file"
echo meanwhile >"$d/late.cim"
refused "N has come meanwhile" commit "$exist" late.cim
is "and is not touched" "$(cat "$d/late.cim")" meanwhile
rm "$d/late.cim"
accepted "when it has gone the commit can be repeated" commit
is "nothing is lost by that" "$(cat "$m/late.cim/file")" data
quietly "delete late.cim"
quietly "create existing=other.cim"
rm "$d/other.cim"
echo data >"$m/writer/file2"
accepted "E may be removed by others while it is overwritten" commit
is "what is made has both" "$(cat "$m/other.cim/file" "$m/other.cim/file2")" $'text\ndata'

# ---- the containing directory ----

new_dir; gone=$dir
start_cimfsd "$gone" "$m2"
rmdir "$gone"
answer=$(ask "$m2" "create new=x.cim")
like "a directory that was removed: ENOENT" "$answer" "^$noent; "
like "and ERROR_PATH_NOT_FOUND" "$answer" "; 0x80070003 ERROR_PATH_NOT_FOUND "
stop_cimfsd "$m2"

if is_root && mount --bind "$d" "$m2" 2>"$scratch/out"; then
	mount -o remount,bind,ro "$m2"
	new_dir; m3=$dir
	start_cimfsd "$m2" "$m3"
	ok "images of a read-only file system can be read" cmp "$tmp/tree/file" "$m3/base.cim/file"
	fails_with "and requests are refused, as to who may not add files" "Permission denied" ctl "$m3" "create new=x.cim"
	stop_cimfsd "$m3"
	umount "$m2"
else
	skip "a read-only file system" "no bind mount"
fi

# ---- the lock ----

ok "flock gets the directory while there is no writer" flock -n "$d" true
quietly "create new=x.cim"
exits_with "not while there is one" 1 flock -n "$d" true
quietly close
ok "and again afterwards" flock -n "$d" true
quietly $'create new=x.cim\ncommit'
ok "also after a commit" flock -n "$d" true
quietly "delete x.cim"

exec 8<"$d"
flock 8
refused "create while somebody else has it" "create new=x.cim" "$busy" "another writer"
refused "delete too" "delete base.cim" "$busy" "another writer"
fails_with "and an import" "another writer" "$CIMFS" import -q "$d" x.cim "$tmp/tree"
ok "readers do not mind" cmp "$tmp/tree/file" "$m/base.cim/file"
exec 8<&-
quietly "create new=x.cim"
fails_with "an import is refused while the mount has a writer" "another writer" \
	"$CIMFS" import -q "$d" y.cim "$tmp/tree"
quietly close

# Two daemons on one directory: of two who ask at once one gets the writer, the other is told why
# not.
start_cimfsd "$d" "$m2"
tries=200
both=0 none=0 told=0
for ((i = 0; i < tries; i++)); do
	ask "$m" "create new=race.cim" >"$scratch/a" &
	first=$!
	ask "$m2" "create new=race.cim" >"$scratch/b" &
	wait "$first" "$!"
	case $(grep -hc "^Success; 0x00000000 S_OK " "$scratch/a" "$scratch/b" | tr -d '\n') in
		10) winner=$m ;;
		01) winner=$m2 ;;
		11) both=$((both + 1)); winner=$m; ctl "$m2" close ;;
		*) none=$((none + 1)); continue ;;
	esac
	told=$((told + $(cat "$scratch/a" "$scratch/b" |
		grep -c "^$busy; 0x80070020 ERROR_SHARING_VIOLATION ")))
	ctl "$winner" close 2>"$scratch/err"
done
is "of $tries pairs of writers never both were let in" "$both" 0
is "and never none" "$none" 0
is "the other always got EBUSY and ERROR_SHARING_VIOLATION" "$told" "$tries"
stop_cimfsd "$m2"

# ---- at the end ----

quietly "create existing=other.cim"
quietly close
mv "$scratch/bad.cim" "$d/"
(cd "$d" && sha256sum --quiet -c "$scratch/before") >"$scratch/out" 2>&1
is "but for the image that was overwritten no file was changed by any of this" \
	"$(sed 's/: .*//' "$scratch/out" | grep -v 'sha256sum' | grep -v -e other.cim -e region_ -e objectid_)" ""
ok "the daemon ends in order" stop_cimfsd "$m"

plan
