#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Importing large files where the file system can share blocks: they are shared, and right.
set -u

. "${top_srcdir:=.}/tests/lib.sh"

is_root || skip_all "only root can mount file systems"
for tool in mkfs.xfs mkfs.btrfs; do
	have "$tool" || skip_all "there is no $tool"
done

# used DIR - MiB that are taken on its file system, when all is written
used()
{
	sync -f "$1"
	df --output=used -B 1M "$1" | tail -n 1 | tr -d ' '
}

# check FS - import from the same file system, and from another one
check()
{
	local fs=$1 live=$tmp/$1 before

	mkdir "$live" "$tmp/$fs-elsewhere"
	truncate -s 512M "$tmp/$fs.disk"
	if ! { "mkfs.$fs" -q "$tmp/$fs.disk" && mount -o loop "$tmp/$fs.disk" "$live"; } \
		>"$scratch/out" 2>&1; then
		skip "$fs" "it cannot be made or mounted here: $(tail -n 1 "$scratch/out")"
		return
	fi
	mkdir "$live/tree" "$live/images"
	head -c 30000001 /dev/urandom >"$live/tree/large"      # its last block is not whole
	head -c 8388608 /dev/urandom >"$live/tree/aligned"
	cp --reflink=always "$live/tree/aligned" "$live/tree/twin"
	head -c 5000 /dev/urandom >"$live/tree/small"
	cp -a "$live/tree" "$tmp/$fs-elsewhere/"
	before=$(used "$live")
	ok "$fs: a tree is imported" "$CIMFS" import -q "$live/images" a.cim "$live/tree"
	ok "$fs: no data was written for its large files" test $(($(used "$live") - before)) -lt 8
	ok "$fs: the image is whole" "$CIMFS" fsck --data -q "$live/images"
	ok "$fs: the file that was changed since" dd if=/dev/zero of="$live/tree/large" bs=1M \
		count=3 conv=notrunc status=none
	ok "$fs: is in the image as it was" "$CIMFS" fsck --data -q "$live/images"
	ok "$fs: the same tree from another file system" \
		"$CIMFS" import -q "$live/images" b.cim "$tmp/$fs-elsewhere/tree"
	is "$fs: gives the same image" "$("$CIMFS" hash "$live/images/a.cim" | cut -d' ' -f1)" \
		"$("$CIMFS" hash "$live/images/b.cim" | cut -d' ' -f1)"
	umount "$live"
}

check btrfs
check xfs
plan
