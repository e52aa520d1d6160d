#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# cimfs import --consistent: the same input gives the same files, byte for byte, whatever the order
# in which it was made, the file system, the time, the locale and the user.  Needs no mount and no
# privileges, but does more as root.
set -u

: "${top_srcdir:=.}"
# shellcheck source=tests/lib.sh
. "$top_srcdir/tests/lib.sh"

seed=${CIMFS_SEED:-$$}
echo "# CIMFS_SEED=$seed"
RANDOM=$seed
n_files=80
[ -z "${CIMFS_LONG:-}" ] || n_files=20000

chmod 755 "$tmp"
one=$tmp/one
# Another file system, where there is one.
other=$(mktemp -d /dev/shm/cimfs-test-XXXXXX 2>/dev/null) || other=$(mktemp -d "$tmp/XXXXXX")
trap 'status=$?; rm -rf "$other"; (exit $status); clean_up' EXIT
chmod 755 "$other"
two=$other/two

# ---- a tree, and the same made the other way round ----

mkdir -p "$one"
for ((i = 0; i < n_files; i++)); do
	d=$one/d$((RANDOM % 17))/e$((RANDOM % 5))
	mkdir -p "$d"
	case $((RANDOM % 6)) in
	0) head -c $((RANDOM % 200)) /dev/urandom >"$d/f$i" ;;
	1) echo same >"$d/f$i" ;;
	2) head -c $((RANDOM * 4)) /dev/zero | tr '\0' "x" >"$d/f$i" ;;
	3) head -c $((RANDOM * 8)) /dev/urandom >"$d/f$i" ;;
	4) ln -s "f$((RANDOM % n_files))" "$d/f$i" ;;
	5) mkfifo "$d/f$i" ;;
	esac
done
head -c 5000000 /dev/urandom >"$one/large"
cp "$one/large" "$one/large-too"
ln "$one/large" "$one/d1/link"
ln "$one/large" "$one/a-link"
truncate -s 3000000 "$one/holes"
printf x | dd of="$one/holes" bs=1 seek=2000000 conv=notrunc status=none
truncate -s 1000000 "$one/all-hole"
head -c 30000 /dev/zero >"$one/zeros"
setfattr -n user.b -v 2 "$one/large" 2>/dev/null
setfattr -n user.a -v 1 "$one/large" 2>/dev/null
find "$one" -exec touch -h -d "@$((1600000000 + RANDOM)).123456789" {} +
chmod -R u=rwX,go=rX "$one"

# copy FROM TO - in the opposite order, without holes, so that only what counts is the same
copy()
{
	local name

	mkdir "$2"
	(cd "$1" && find . -mindepth 1 -type d) | while read -r name; do mkdir -p "$2/$name"; done
	(cd "$1" && find . -mindepth 1 ! -type d ! -links +1) | sort -r | while read -r name; do
		cp -a --sparse=never "$1/$name" "$2/$name"
	done
	# shellcheck disable=SC2046 # the names have no spaces
	(cd "$1" && cp -a --sparse=never --parents $(find . -links +1 ! -type d | sort -r) "$2/")
	setfattr -x user.a "$2/large" 2>/dev/null && setfattr -n user.a -v 1 "$2/large"
	(cd "$1" && find . -depth) | while read -r name; do touch -h -r "$1/$name" "$2/$name"; done
}
copy "$one" "$two"
ok "the two trees are equal" diff -r --no-dereference -x 'f*' "$one" "$two"

# consistent DIR NAME ARGUMENT… - quietly
consistent()
{
	local where=$1 name=$2

	shift 2
	mkdir -p "$where"
	"$CIMFS" import -q --consistent "$where" "$name" "$@"
}

ok "one is imported" consistent "$tmp/1" base "$one"
ok "the other, elsewhere" env TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 LANG=xx bash -c \
	"umask 077; mkdir '$other/2'; '$CIMFS' import -q --consistent '$other/2' base '$two'"
ok "all files of the images are the same" diff -r "$tmp/1" "$other/2"
is "they are an image's" "$(find "$tmp/1" -type f | wc -l)" 7
for i in 3 4 5; do
	consistent "$tmp/$i" base "$one"
	ok "… each time" diff -r "$tmp/1" "$tmp/$i"
done
mkdir "$tmp/plain1" "$tmp/plain2"
for i in 1 2; do "$CIMFS" import -q "$tmp/plain$i" base "$one"; done
exits_with "without --consistent they are not" 1 diff -rq "$tmp/plain1" "$tmp/plain2"
ok "a second image of it in one directory shares the files" consistent "$tmp/1" again "$two"
is "… which are no more than before" "$(find "$tmp/1" -type f | wc -l)" 8
rm "$tmp/1/again"

if is_root; then
	mkdir "$tmp/user"
	chown 65534:65534 "$tmp/user"
	ok "somebody else imports it" setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$CIMFS" import -q --consistent "$tmp/user" base "$one"
	ok "… and makes the same files" diff -r "$tmp/1" "$tmp/user"
else
	skip "somebody else imports it" "not root"
fi

# ---- forks ----

mkdir "$tmp/more" "$other/more"
for i in 1 2 3; do echo "$i" >"$tmp/more/$i"; done
for i in 3 2 1; do echo "$i" >"$other/more/$i"; done
find "$tmp/more" "$other/more" -exec touch -d @1700000000 {} +
ok "a fork is made of one" consistent "$tmp/1" fork --from=base "$tmp/more"
ok "… and of the other" consistent "$other/2" fork --from=base "$other/more"
ok "their files are the same too" diff -r "$tmp/1" "$other/2"

# ---- tars ----

(cd "$one" && find . ! -type d | sort) >"$tmp/list"
pack()
{
	tar -C "$one" --format=posix --no-recursion --pax-option=delete=atime,delete=ctime -cf "$1" \
		-T <(cd "$one" && find . -type d | sort) -T "$2"
}
pack "$tmp/1.tar" "$tmp/list"
(cd "$one" && find . ! -type d -links 1 | sort -r; cd "$one" && find . ! -type d -links +1 | sort) \
	>"$tmp/tsil"
pack "$tmp/2.tar" "$tmp/tsil"
exits_with "two tars have their entries in another order" 1 cmp -s "$tmp/1.tar" "$tmp/2.tar"
ok "one is imported" consistent "$tmp/tar1" base --tar="$tmp/1.tar"
ok "the other too, from a pipe" bash -c \
	"mkdir '$tmp/tar2'; gzip -c '$tmp/2.tar' |
	TZ=America/Lima '$CIMFS' import -q --consistent --tar=- '$tmp/tar2' base"
ok "their images are the same" diff -r "$tmp/tar1" "$tmp/tar2"

plan
