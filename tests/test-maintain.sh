#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# cimfs fsck, hash, delete and gc: what they say, what they refuse, and what they leave alone.
set -eu

# shellcheck source=tests/lib.sh
. "${top_srcdir:-.}/tests/lib.sh"

# make_images - $dir with base.cim, its fork app.cim, and other.cim, which shares nothing
make_images()
{
	new_dir
	"$CIMFS" import -q "$dir" base.cim "$tmp/tree"
	"$CIMFS" import -q --from=base.cim "$dir" app.cim "$tmp/more"
	"$CIMFS" import -q "$dir" other.cim "$tmp/more"
}

# tree - the files that images are made from
mkdir -p "$tmp/tree/d" "$tmp/more"
echo text >"$tmp/tree/text"
head -c 100000 /dev/urandom >"$tmp/tree/data"
ln "$tmp/tree/text" "$tmp/tree/d/link"
ln -s text "$tmp/tree/symlink"
mkfifo "$tmp/tree/fifo"
echo more >"$tmp/more/more"

# out COMMAND… - what it prints, whatever its status
out()
{
	limited "$@" 2>&1 || true
}

# orphan NAME - a file in $dir as a crash may leave it
orphan()
{
	echo garbage >"$dir/$1"
}

# one_file DIR GLOB - the first file of that kind
one_file()
{
	find "$1" -name "$2" | sort | head -n 1
}

# damage FILE OFFSET - change a byte
damage()
{
	local old

	chmod u+w "$1"
	old=$(od -An -tu1 -j"$2" -N1 "$1")
	printf "\\x$(printf %02x $((old ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

orphans=(
	region_01234567-89ab-cdef-0123-456789abcdef_0
	region_01234567-89ab-cdef-0123-456789abcdef_7
	objectid_01234567-89ab-cdef-0123-456789abcdef_0
	.cimfs-01234567-89ab-cdef-0123-456789abcdef
	.cimfs-image
)
mine=(
	notes.txt
	region_01234567-89AB-CDEF-0123-456789ABCDEF_0
	region_01234567-89ab-cdef-0123-456789abcdef_00
	region_01234567-89ab-cdef-0123-456789abcdef
	region_01234567-89ab-cdef-0123-456789abcdef_65536
	region_
	.hidden
)

# ---- fsck ----

make_images
exits_with "fsck of a directory" 0 "$CIMFS" fsck --data "$dir"
is "fsck counts" "$(out "$CIMFS" fsck --data "$dir")" "images: 3, files: 15, no damage"
exits_with "fsck of an image" 0 "$CIMFS" fsck "$dir/app.cim"
is "fsck -q says nothing of what is whole" "$(out "$CIMFS" fsck -q "$dir")" ""
is "fsck changes nothing" "$(digests "$dir" | sha256sum)" \
	"$("$CIMFS" fsck -dq "$dir"; digests "$dir" | sha256sum)"

exits_with "fsck of what is not there" 2 "$CIMFS" fsck "$dir/none.cim"
exits_with "fsck of a directory that is not there" 2 "$CIMFS" fsck "$tmp/none/base.cim"
exits_with "fsck of two things" 2 "$CIMFS" fsck "$dir" "$dir"
exits_with "fsck of a reserved name" 2 "$CIMFS" fsck "$dir/control"
exits_with "fsck with a number below 0" 2 "$CIMFS" fsck --max=-1 "$dir"

echo text >"$dir/notes.txt"
mkfifo "$dir/fifo"
ln -s base.cim "$dir/link.cim"
mkdir "$dir/directory"
exits_with "fsck neither opens FIFOs nor follows links" 0 "$CIMFS" fsck -d "$dir"
is "fsck -v names what is no file of images" \
	"$(out "$CIMFS" fsck -v "$dir" | sed -n 's/^note: \(.*\): .*\[foreign\]$/\1/p' | tr '\n' ' ')" \
	"directory fifo link.cim notes.txt "

data=$(find "$dir" -name 'region_*_1' -size +90k)
damage "$data" 5000
exits_with "fsck without --data does not read data" 0 "$CIMFS" fsck "$dir"
exits_with "fsck --data finds a changed byte" 1 "$CIMFS" fsck --data "$dir"
like "fsck names the file" "$(out "$CIMFS" fsck -d "$dir")" \
	"damage: ${data##*/}: .* bytes at 4096 .*\[digest\]$"
damage "$data" 5000
exits_with "and no more when it is as it was" 0 "$CIMFS" fsck --data "$dir"
if command -v script >/dev/null; then
	first=$(script -qec "'$CIMFS' fsck -d '$dir'" /dev/null </dev/null | tr "\r" "\n" |
		grep -m 1 .)
	is "fsck does not guess at once how long it will take" "$(grep -c " left" <<<"$first")" 0
else
	skip "fsck does not guess at once how long it will take" "no script command"
fi

make_images
rm "$(one_file "$dir" 'region_*_0')"
exits_with "fsck finds that a region file is missing" 1 "$CIMFS" fsck "$dir"
like "and says which" "$(out "$CIMFS" fsck "$dir")" 'damage: region_.*_0: .* missing \[region-missing\]'

make_images
rm "$dir/$("$CIMFS" stat "$dir/base.cim" data | sed -n 's/^data: .* of //p')"
exits_with "stat fails for a file whose region file is missing" 1 "$CIMFS" stat "$dir/base.cim" data
like "and tells all the same what it is" "$(out "$CIMFS" stat "$dir/base.cim" data)" '^size: 100000$'
exits_with "but not for others" 0 "$CIMFS" stat "$dir/base.cim" d

make_images
printf '\377\377\377\377' | dd of="$dir/app.cim" bs=1 seek=56 conv=notrunc status=none
exits_with "fsck finds a wrong header" 1 "$CIMFS" fsck "$dir/app.cim"
exits_with "fsck of another image does not care" 0 "$CIMFS" fsck "$dir/base.cim"
: >"$dir/empty.cim"
exits_with "fsck of an empty file" 1 "$CIMFS" fsck "$dir/empty.cim"

make_images
chmod u+w "$dir/app.cim"
printf '\4' | dd of="$dir/app.cim" bs=1 seek=16 conv=notrunc status=none
exits_with "of a newer version fsck cannot tell" 2 "$CIMFS" fsck "$dir/app.cim"
exits_with "nor of its directory" 2 "$CIMFS" fsck "$dir"

make_images
for file in "${orphans[@]}"; do
	orphan "$file"
done
exits_with "files that no image lists are no damage" 0 "$CIMFS" fsck "$dir"
is "they are notes" "$(out "$CIMFS" fsck "$dir" | grep -c '^note: .*\[\(unreferenced\|leftover\)\]$')" 5
is "--max leaves out" "$(out "$CIMFS" fsck --max=2 "$dir" | grep -c '^note')" 2
like "and says so" "$(out "$CIMFS" fsck --max=2 "$dir")" '^3 more findings are not shown$'

# ---- JSON ----

if have jq; then
	is "fsck --json" "$("$CIMFS" fsck --json "$dir" |
		jq -r '[.damage, .notes, .images, .result, (.findings | length),
			.findings[0].severity, .findings[0].rule] | join(" ")')" \
		"0 5 3 clean 5 note leftover"
	is "fsck --json of an image" "$("$CIMFS" fsck --json "$dir/app.cim" |
		jq -c '[.findings, .result]')" '[[],"clean"]'
	is "gc --json" "$("$CIMFS" gc -n --json "$dir" |
		jq -r '[.removed, (.files | length), (.bytes == ([.files[].bytes] | add))] | join(" ")')" \
		"false 5 true"
	orphan $'.cimfs-\377"\n\\'
	is "names of any bytes" \
		"$("$CIMFS" gc -n --json "$dir" | jq -r '[.files[].name_bytes | select(.)] | first' |
			base64 -d | od -An -tx1 | tr -d ' \n')" \
		2e63696d66732dff220a5c
	is "fsck too" "$("$CIMFS" fsck --json "$dir" | jq -r '.notes')" 6
	is "a line each without JSON" "$("$CIMFS" gc -n "$dir" | wc -l)" 7
else
	skip "fsck and gc --json" "there is no jq"
fi

# ---- gc ----

make_images
for file in "${orphans[@]}" "${mine[@]}"; do
	orphan "$file"
done
before=$(digests "$dir")
is "gc -n says what" "$(out "$CIMFS" gc -n "$dir" | sed '$d; s/^ *[0-9]* //' | sort | tr '\n' ' ')" \
	"$(printf '%s\n' "${orphans[@]}" | sort | tr '\n' ' ')"
is "and removes nothing" "$(digests "$dir")" "$before"
ok "gc" "$CIMFS" gc "$dir"
for file in "${mine[@]}"; do
	ok "gc leaves $file" rm "$dir/$file"
done
ok "gc leaves what images need and nothing else" only_images "$dir" base.cim app.cim other.cim
exits_with "what it leaves is whole" 0 "$CIMFS" fsck -d "$dir"
is "there is nothing more" "$(out "$CIMFS" gc "$dir")" "0 files, 0 B removed"

rm "$dir/base.cim"
ok "gc after an image was removed by hand" "$CIMFS" gc "$dir"
ok "keeps what its fork needs" only_images "$dir" app.cim other.cim
exits_with "the fork is whole" 0 "$CIMFS" fsck -d "$dir"
rm "$dir/app.cim"
ok "gc after the fork was too" "$CIMFS" gc "$dir"
ok "leaves nothing of both" only_images "$dir" other.cim

make_images
mv "$dir/other.cim" "$dir/control"
ok "gc with an image under a name that none may have" "$CIMFS" gc "$dir"
mv "$dir/control" "$dir/other.cim"
exits_with "has kept its data" 0 "$CIMFS" fsck -d "$dir"

exits_with "gc of what is not there" 1 "$CIMFS" gc "$tmp/none"
exits_with "gc without a directory" 2 "$CIMFS" gc

# refused DESC TEXT - neither gc nor delete removes anything, and both name what is wrong
refused()
{
	local before

	orphan region_01234567-89ab-cdef-0123-456789abcdef_0
	before=$(digests "$dir" 2>&1)
	fails_with "gc: $1" "$2" "$CIMFS" gc "$dir"
	fails_with "gc -n: $1" "$2" "$CIMFS" gc -n "$dir"
	fails_with "delete: $1" "$2" "$CIMFS" delete "$dir/app.cim"
	is "nothing is removed: $1" "$(digests "$dir" 2>&1)" "$before"
}

make_images
exec 9<"$dir"
flock 9
refused "while a writer is open" "another writer holds this image directory"
exec 9<&-

make_images
head -c 40 "$dir/base.cim" >"$dir/damaged.cim"
refused "an image is cut off" '"damaged.cim" cannot be read'
printf 'cimfile0' >"$dir/damaged.cim"
refused "an image is cut off in its magic's header" '"damaged.cim" cannot be read'
cp "$dir/base.cim" "$dir/damaged.cim"
chmod u+w "$dir/damaged.cim"
printf '\4' | dd of="$dir/damaged.cim" bs=1 seek=16 conv=notrunc status=none
refused "an image is of a newer version" '"damaged.cim" cannot be read'
printf '\2' | dd of="$dir/damaged.cim" bs=1 seek=16 conv=notrunc status=none
printf '\377' | dd of="$dir/damaged.cim" bs=1 seek=36 conv=notrunc status=none
refused "an image lists a set that is not there" '"damaged.cim" cannot be read'
cp "$dir/base.cim" "$dir/damaged.cim"
chmod u+w "$dir/damaged.cim"
printf '\377\377\377\377' | dd of="$dir/damaged.cim" bs=1 seek=56 conv=notrunc status=none
refused "an image has no filesystem object" '"damaged.cim" cannot be read'
cp "$dir/base.cim" "$dir/damaged.cim"
chmod u+w "$dir/damaged.cim"
printf '\3' | dd of="$dir/damaged.cim" bs=1 seek=12 conv=notrunc status=none
refused "a file is of a kind that is not known" '"damaged.cim"'
rm "$dir/damaged.cim"
ok "then delete works" "$CIMFS" delete "$dir/app.cim"
ok "and gc" "$CIMFS" gc "$dir"
ok "and all that is left is needed" only_images "$dir" base.cim other.cim

make_images
mv "$dir/$(image_files "$dir" base.cim | grep '^region_.*_2$')" "$tmp/away"
refused "a region file that is listed is not there" "cannot be read"

if is_root && have setpriv; then
	make_images
	chmod 777 "$dir"
	chmod 600 "$dir/base.cim"
	for command in "gc $dir" "gc -n $dir" "delete $dir/app.cim"; do
		# shellcheck disable=SC2086
		fails_with "$command: an image may not be read" "Permission denied" \
			setpriv --reuid 65534 --regid 65534 --clear-groups "$CIMFS" $command
	done
	exits_with "nothing is removed then" 0 "$CIMFS" fsck -d "$dir"
	exits_with "fsck cannot tell then" 2 \
		setpriv --reuid 65534 --regid 65534 --clear-groups "$CIMFS" fsck "$dir"
	chmod 755 "$dir"
	fails_with "gc needs the right to remove files" "may not remove" \
		setpriv --reuid 65534 --regid 65534 --clear-groups "$CIMFS" gc "$dir"
else
	skip "images that may not be read" "not root, or no setpriv"
fi

# ---- delete ----

make_images
exits_with "delete of what is not there" 1 "$CIMFS" delete "$dir/none.cim"
exits_with "delete of a reserved name" 1 "$CIMFS" delete "$dir/control"
exits_with "delete without a name" 2 "$CIMFS" delete
echo text >"$dir/notes.txt"
fails_with "delete of what is no image" "no image" "$CIMFS" delete "$dir/notes.txt"
rm "$dir/notes.txt"
ok "delete of a base" "$CIMFS" delete "$dir/base.cim"
exits_with "leaves its fork whole" 0 "$CIMFS" fsck -d "$dir"
exits_with "delete goes on after one that fails" 1 \
	"$CIMFS" delete "$dir/none.cim" "$dir/app.cim" "$dir/other.cim"
is "after the last one nothing is left" "$(ls -A "$dir")" ""

# What a delete leaves that was stopped after the image had gone: the next writer goes on.
make_images
rm "$dir/other.cim"
mv "$dir/app.cim" "$dir/.cimfs-$(image_files "$dir" app.cim | sed -n '2s/region_\(.*\)_0/\1/p')"
"$CIMFS" import -q "$dir" new.cim "$tmp/more"
ok "a writer finishes a delete that was stopped" "$CIMFS" gc -n "$dir"
exits_with "and what is left is whole" 0 "$CIMFS" fsck -d "$dir"

# ---- hash ----

make_images
digest=$("$CIMFS" hash "$dir/base.cim")
like "hash" "$digest" "^[0-9a-f]{64}  $dir/base.cim\$"
"$CIMFS" import -q "$dir" again.cim "$tmp/tree"
is "hash of the same tree" "$("$CIMFS" hash "$dir/again.cim" | cut -c 1-64)" "${digest:0:64}"
is "hash of a tree that holds it" \
	"$("$CIMFS" hash "$dir/base.cim" d | cut -c 1-64)" "$("$CIMFS" hash "$dir/app.cim" d | cut -c 1-64)"
[ "$("$CIMFS" hash "$dir/app.cim" | cut -c 1-64)" != "${digest:0:64}" ] && pass "hash of another tree" ||
	fail "hash of another tree"
[ "$("$CIMFS" hash -w "$dir/base.cim" | cut -c 1-64)" != "${digest:0:64}" ] && pass "hash --windows" ||
	fail "hash --windows"
exits_with "hash of a file" 0 "$CIMFS" hash "$dir/base.cim" text
exits_with "hash of what is not there" 1 "$CIMFS" hash "$dir/base.cim" none
exits_with "hash of no image" 1 "$CIMFS" hash "$dir/none.cim"
exits_with "hash without a name" 2 "$CIMFS" hash

# ---- beside a mount ----

if [ -r /dev/fuse ] && [ -w /dev/fuse ] && have fusermount3; then
	make_images
	mkdir "$tmp/mnt"
	start_cimfsd "$dir" "$tmp/mnt"
	exec 8<"$tmp/mnt/app.cim/data"
	orphan region_01234567-89ab-cdef-0123-456789abcdef_0
	ok "gc beside a mount" "$CIMFS" gc "$dir"
	ok "delete beside a mount" "$CIMFS" delete "$dir/app.cim"
	same "what is open is read to the end" /dev/fd/8 "$tmp/tree/data"
	exec 8<&-
	ok "others are there" cmp "$tmp/mnt/base.cim/data" "$tmp/tree/data"
	fails_with "what is deleted is not" "No such file" cat "$tmp/mnt/app.cim/data"
	ctl "$tmp/mnt" "create new=new.cim"
	fails_with "gc while the mount has a writer" "another writer" "$CIMFS" gc "$dir"
	exits_with "fsck needs no lock" 0 "$CIMFS" fsck -d "$dir"
	ctl "$tmp/mnt" close
	for command in fsck gc "gc -n"; do
		# shellcheck disable=SC2086
		fails_with "$command of the mount names what is behind it" "mount of cimfsd" \
			"$CIMFS" $command "$tmp/mnt"
	done
	fails_with "delete in the mount too" "mount of cimfsd" "$CIMFS" delete "$tmp/mnt/base.cim"
	ctl "$tmp/mnt" "delete other.cim"
	ok "the daemon deletes in the same way" only_images "$dir" base.cim
	stop_cimfsd "$tmp/mnt"
else
	skip "beside a mount" "/dev/fuse cannot be used"
fi

plan
