#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Checks that dependencies point down: a file of src/, fuse/ or tool/ may include headers of its
# own row of the table below or of a lower one, never of a higher.  TAP.
set -eu

# The rows, lowest first: modules of src/, or a whole directory as "fuse/".
layers=(
	"le util error tmpfile idmap ahead"
	"name upcase ea reparse acl mapping format sid sddl view symlink windows"
	"lock posix store fold ntfs-xattr"
	"image delete garbage objects region region-compact region-guid region-private blobs"
	"reader reader-xattr stream-file"
	"fsck fsck-data fsck-entry fsck-image fsck-private fsck-tree treehash"
	"content"
	"writer node tree create data put streams stream-node xattr winmeta order parents chain encode commit"
	"cimfs hresult api api-maintain api-read api-result api-write"
	"fuse/ tool/"
)

cd -- "$(dirname -- "$0")/.."

declare -A row_of
for row in "${!layers[@]}"; do
	for module in ${layers[row]}; do
		row_of[$module]=$row
	done
done

# key_of FILE - how the table calls it
key_of()
{
	case $1 in
	src/*)
		basename "${1%.[ch]}"
		;;
	*)
		echo "${1%%/*}/"
		;;
	esac
}

# resolve FILE HEADER - the file that an include of HEADER in FILE means
resolve()
{
	local path

	for path in "$(dirname "$1")/$2" "src/$2" "fuse/$2" "tool/$2"; do
		if [ -e "$path" ]; then
			realpath --relative-to=. "$path"
			return
		fi
	done
}

# placed FILE - whether the table has a row for it
placed()
{
	[ -n "${row_of[$(key_of "$1")]-}" ]
}

# upward FILE - a line for each include of it that the table forbids
upward()
{
	local key header target target_key

	key=$(key_of "$1")
	while read -r header; do
		[ "$header" != config.h ] || continue
		target=$(resolve "$1" "$header")
		if [ -z "$target" ]; then
			echo "$1: \"$header\" is no file of src/, fuse/ or tool/"
			continue
		fi
		target_key=$(key_of "$target")
		# fuse/ and tool/ share a row and still know nothing of each other.
		if [ "${row_of[$target_key]:-99}" -gt "${row_of[$key]}" ] ||
			[[ $key == */ && $target_key == */ && $key != "$target_key" ]]; then
			echo "$1 may not include $target"
		fi
	done < <(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$1")
}

# report NUMBER NAME LINE… - passes when there are none; they are the diagnosis when there are
report()
{
	local number=$1 name=$2

	shift 2
	if [ $# -eq 0 ]; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		printf '# %s\n' "$@"
	fi
}

shopt -s nullglob
homeless=()
upwards=()
for file in src/*.[ch] fuse/*.[ch] tool/*.[ch]; do
	if placed "$file"; then
		mapfile -t -O ${#upwards[@]} upwards < <(upward "$file")
	else
		homeless+=("$file")
	fi
done

echo "1..2"
report 1 "every file has a row in the table of check-layers.sh" "${homeless[@]}"
report 2 "no file includes a header above its row" "${upwards[@]}"
[ $((${#homeless[@]} + ${#upwards[@]})) -eq 0 ]
