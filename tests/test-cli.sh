#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The cimfs command: import, ls, cat, info.  Needs no mount and no privileges, but does more as root.
set -u

: "${top_srcdir:=.}"
# shellcheck source=tests/lib.sh
. "$top_srcdir/tests/lib.sh"

export LC_ALL=C.UTF-8 TZ=UTC
dir=$tmp/images
mkdir "$dir"
chmod 755 "$tmp" "$dir"

# ---- helpers ----

# exits STATUS COMMAND… - whether it ends with that status
exits()
{
	local expected=$1 status=0

	shift
	"$@" || status=$?
	[ "$status" -eq "$expected" ] || {
		echo "exit status $status, expected $expected"
		return 1
	}
}

# fails PATTERN COMMAND… - whether it ends with 1, says "cimfs: … PATTERN", and prints nothing else
fails()
{
	local pattern=$1 message

	shift
	message=$(exits 1 "$@" 2>&1 >"$tmp/out") || { echo "$message"; return 1; }
	echo "$message"
	[ ! -s "$tmp/out" ] || { echo "output:"; cat "$tmp/out"; return 1; }
	grep -q "^cimfs: .*$pattern" <<<"$message"
}

# prints TEXT COMMAND… - whether its output is the text and a newline
prints()
{
	local expected=$1 output

	shift
	output=$("$@") || { echo "exit status $?"; return 1; }
	[ "$output" = "$expected" ] || {
		printf 'have: %s\nexpect: %s\n' "$output" "$expected"
		return 1
	}
}

# unchanged COMMAND… - whether the command leaves the names in $dir as they were
unchanged()
{
	local before

	before=$(ls -A "$dir")
	"$@" || return 1
	[ "$(ls -A "$dir")" = "$before" ] || {
		echo "names in the directory: $(ls -A "$dir")"
		return 1
	}
}

# import ARGUMENT… - quietly, into $dir
import()
{
	"$CIMFS" import -q "$@"
}

# is_json COMMAND… - whether the output is JSON
is_json()
{
	"$@" | python3 -m json.tool >"$tmp/json"
}

# as_user COMMAND… - as somebody who is not root
as_user()
{
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	else
		"$@"
	fi
}

# normal_list - a long listing without what a directory of an image has no like of
normal_list()
{
	sed -e '/^total /d' -e 's|^\./\(.*:\)$|\1|' |
		awk '/^d/ { $2 = $5 = "-" } { $1 = $1; print }'
}

# listed_alike TREE IMAGE - whether ls says the same of both
listed_alike()
{
	diff <(cd "$1" && LC_ALL=C ls -lnAR --time-style=long-iso . | normal_list) \
		<("$CIMFS" ls -lnaR "$2" | awk '$NF != "." && $NF != ".."' | normal_list)
}

# same_content TREE IMAGE - whether all regular files have the same bytes
same_content()
{
	local path

	(cd "$1" && find . -type f -print0) | while IFS= read -r -d '' path; do
		"$CIMFS" cat "$2" "$path" | cmp - "$1/$path" || return 1
	done
}

# image_types IMAGE - "path type mode links target" of all there is in it, as find can print them
image_types()
{
	{ "$CIMFS" ls -ld --json "$1" && "$CIMFS" ls -R --json "$1"; } | python3 -c '
import json, sys
types = {"file": "f", "directory": "d", "symlink": "l"}
for line in sys.stdin:
    if line.startswith("{"):
        x = json.loads(line.rstrip(",\n"))
        links = "-" if x["type"] == "directory" else x["links"]
        print(x["name"], types[x["type"]], x["mode"].lstrip("0"), links, x.get("target", ""))
' | LC_ALL=C sort
}

# tree_types TREE - the same of a tree
tree_types()
{
	(cd "$1" && { find . -maxdepth 0 -printf '. d %m - \n'
		find . -mindepth 1 -type d -printf '%P d %m - \n'
		find . -mindepth 1 ! -type d -printf '%P %y %m %n %l\n'; }) | LC_ALL=C sort
}

# ---- usage ----

ok "no command is wrong usage" exits 2 "$CIMFS"
ok "an unknown command is wrong usage" exits 2 "$CIMFS" frobnicate
ok "an unknown option is wrong usage" exits 2 "$CIMFS" ls --frobnicate x
for command in import ls cat info; do
	ok "$command without operands is wrong usage" exits 2 "$CIMFS" $command
	ok "$command has a --help" exits 0 "$CIMFS" $command --help
done
ok "ls with an operand too many is wrong usage" exits 2 "$CIMFS" ls a b c
ok "an unknown case is wrong usage" exits 2 "$CIMFS" import --case=mixed "$dir" a.cim "$tmp"
ok "--help names the commands" bash -c "'$CIMFS' --help | grep -q '^  import '"
ok "--version has a version" bash -c "'$CIMFS' --version | grep -qE '^cimfs [0-9]+\.[0-9]+'"

# ---- a small tree with all types of files ----

tree=$tmp/tree
mkdir -p "$tree/sub/empty" "$tree/sgid"
echo hello >"$tree/a"
head -c 3000000 /dev/urandom >"$tree/large"
head -c 5000 /dev/urandom >"$tree/sub/medium"
: >"$tree/sub/nothing"
echo hidden >"$tree/.hidden"
ln "$tree/a" "$tree/sub/hard"
ln -s ../a "$tree/sub/link"
ln -s sub "$tree/way"
ln -s /nowhere/at/all "$tree/dangling"
mkfifo "$tree/fifo"
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => shift, Listen => 1)' "$tree/socket"
perl -e 'open F, ">", "$ARGV[0]/\xff\xfe" . "x" x 253 or die' "$tree"
printf 'tab' >"$tree/with	tab"
mknod "$tree/null" c 1 3 2>"$tmp/out" && mknod "$tree/loop" b 7 1
chmod 4711 "$tree/sub/medium"
chmod 1777 "$tree/sub/empty"
chmod 2775 "$tree/sgid"
echo inside >"$tree/sgid/f"
[ "$(id -u)" -ne 0 ] || chown 1234:4321 "$tree/sub/nothing"
touch -h -d '1999-12-31 23:59:58.987654321' "$tree/a" "$tree/sub/link"
touch -d '1965-01-01 00:00:01' "$tree/sub/empty"
touch -d '2001-02-03 04:05:06' "$tree/sub" "$tree"

ok "import makes an image and says so" \
	bash -c "'$CIMFS' import '$dir' base.cim '$tree' | grep -q '^base.cim: [0-9]* files, '"
ok "the tree's times of access are as they were" \
	prints "$(date -d '2001-02-03 04:05:06' +%s)" stat -c %X "$tree/sub"
ok "ls -lR shows what ls shows of the tree" listed_alike "$tree" "$dir/base.cim"
ok "cat prints every file's bytes" same_content "$tree" "$dir/base.cim"
ok "import -q prints nothing" bash -c "[ -z \"\$('$CIMFS' import -q '$dir' quiet.cim '$tree' 2>&1)\" ]"
ok "equal trees give equal file IDs" \
	diff <("$CIMFS" ls -R --json "$dir/base.cim") <("$CIMFS" ls -R --json "$dir/quiet.cim")
rm "$dir/quiet.cim"

# ---- ls, cat ----

ok "ls shows no hidden names" bash -c "! '$CIMFS' ls '$dir/base.cim' | grep -q '^\\.'"
ok "ls -a shows them" bash -c "'$CIMFS' ls -a '$dir/base.cim' | grep -qx '\\.hidden'"
ok "ls sorts by bytes" bash -c "'$CIMFS' ls '$dir/base.cim' | LC_ALL=C sort -c"
ok "ls of a directory lists it" prints "empty
hard
link
medium
nothing" "$CIMFS" ls "$dir/base.cim" sub
ok "ls of a file shows it" prints "sub/hard" "$CIMFS" ls "$dir/base.cim" sub/hard
ok "ls -d of a directory shows it" prints "sub" "$CIMFS" ls -d "$dir/base.cim" sub
ok "ls goes through a symlink to a directory" \
	bash -c "'$CIMFS' ls '$dir/base.cim' way | grep -qx hard"
ok "ls -l shows the symlink itself" \
	bash -c "'$CIMFS' ls -l '$dir/base.cim' way | grep -q ' way -> sub\$'"
ok "ls takes an image without a directory" \
	bash -c "cd '$dir' && '$(realpath "$CIMFS")' ls base.cim | grep -qx a"
ok "names are printed as they are where there is no terminal" \
	bash -c "'$CIMFS' ls '$dir/base.cim' | LC_ALL=C grep -aqP '^\\xff\\xfex{253}\$'"
if command -v script >/dev/null; then
	ok "what a terminal cannot show becomes a question mark" \
		bash -c "script -qec \"'$CIMFS' ls '$dir/base.cim'\" /dev/null </dev/null | tr -d '\\r' |
			grep -qx '??x*'"
	ok "and so do its control characters" \
		bash -c "script -qec \"'$CIMFS' ls '$dir/base.cim'\" /dev/null </dev/null | tr -d '\\r' |
			grep -qx 'with?tab'"
else
	skip "what a terminal cannot show becomes a question mark" "no script command"
fi
ok "cat takes several files" prints "hello
inside" "$CIMFS" cat "$dir/base.cim" a sgid/f
ok "cat follows symlinks" prints "hello" "$CIMFS" cat "$dir/base.cim" way/link
ok "cat takes backslashes" prints "hello" "$CIMFS" cat "$dir/base.cim" 'sub\hard'
ok "cat of a directory fails" fails "sub: Is a directory" "$CIMFS" cat "$dir/base.cim" sub
ok "cat of a FIFO fails and does not wait" fails "fifo: " "$CIMFS" cat "$dir/base.cim" fifo
ok "cat of a missing file fails" fails "none: No such file" "$CIMFS" cat "$dir/base.cim" none
ok "ls of a missing file fails" fails "sub/none: No such file" "$CIMFS" ls "$dir/base.cim" sub/none
ok "ls below a file fails" fails "Not a directory" "$CIMFS" ls "$dir/base.cim" a/b
ok "a missing image is said" fails "no such image" "$CIMFS" ls "$dir/none.cim"
ok "a missing directory is said" fails "No such file" "$CIMFS" ls "$tmp/none/base.cim"
ok "a file that is no image is said" fails "a: .*cannot be read" "$CIMFS" ls "$tree/a"
ok "a full disk behind the output is an error" \
	bash -c "'$CIMFS' ls -lR '$dir/base.cim' 2>&1 >/dev/full | grep -q 'No space left'"
ok "and for cat" bash -c "! '$CIMFS' cat '$dir/base.cim' a 2>/dev/null >/dev/full"
ok "a reader that goes away ends it quietly" \
	bash -c "{ '$CIMFS' cat '$dir/base.cim' large; echo \$? >'$tmp/status'; } 2>'$tmp/err' | head -c 1 >/dev/null
		[ ! -s '$tmp/err' ] && grep -qx 141 '$tmp/status'"

# ---- info, JSON ----

echo fork >"$tmp/extra"
mkdir "$tmp/fork" && mv "$tmp/extra" "$tmp/fork/"
ok "import --from makes a fork" import --from=base.cim "$dir" fork.cim "$tmp/fork"
ok "info of a directory has a line for each image" \
	bash -c "[ \"\$('$CIMFS' info '$dir' | awk '{print \$1, \$5}')\" = 'NAME BASE
base.cim -
fork.cim base.cim' ]"
ok "info of an image tells where its region sets come from" \
	bash -c "'$CIMFS' info '$dir/fork.cim' | grep -q 'present  *made by base.cim'"
ok "info counts files once, whatever names they have" \
	bash -c "[ \"\$('$CIMFS' info '$dir/base.cim' | awk '/^files:/ { print \$2 }')\" = \
		\"\$(find '$tree' -printf '%i\n' | sort -u | wc -l)\" ]"
ok "a fork owns less than it shares" \
	bash -c "'$CIMFS' info '$dir' | awk '/^fork/ { ok = \$3 < \$4 } END { exit !ok }'"
ok "info of nothing fails" fails "no such image" "$CIMFS" info "$dir/none.cim"
mkdir "$tmp/none-here"
ok "a directory without images has nothing to say" prints "" "$CIMFS" info "$tmp/none-here"
if command -v python3 >/dev/null; then
	ok "ls --json is JSON" is_json "$CIMFS" ls -R --json "$dir/base.cim"
	ok "it has names that are no UTF-8 in base64" python3 - "$tmp/json" <<-'END'
		import base64, json, sys
		names = [base64.b64decode(x["name_bytes"]) for x in json.load(open(sys.argv[1]))
			 if "name_bytes" in x]
		sys.exit(names != [b"\xff\xfe" + b"x" * 253])
	END
	ok "ls --json of an empty directory is JSON" is_json "$CIMFS" ls --json "$dir/base.cim" sub/empty
	ok "info --json of a directory is JSON" is_json "$CIMFS" info --json "$dir"
	ok "info --json of an empty one is JSON" is_json "$CIMFS" info --json "$tmp/none-here"
	ok "info --json of an image is JSON" is_json "$CIMFS" info --json "$dir/fork.cim"
	ok "it has the lineage" python3 - "$tmp/json" <<-'END'
		import json, sys
		info = json.load(open(sys.argv[1]))
		sys.exit(info["base"] != "base.cim" or len(info["region_sets"]) != 2)
	END
else
	skip "JSON" "no python3"
fi
echo nonsense >"$dir/no-image"
ok "a file that is no image is not listed" bash -c "! '$CIMFS' info '$dir' | grep -q no-image"
printf 'cimfile0%64s' '' | tr ' ' '\0' >"$dir/damaged.cim"
ok "a damaged image is said, the others are listed" \
	bash -c "'$CIMFS' info '$dir' >'$tmp/out' 2>'$tmp/err'; [ \$? -eq 1 ] &&
		grep -q '^cimfs: damaged.cim: ' '$tmp/err' && grep -q '^base.cim ' '$tmp/out'"
rm "$dir/no-image" "$dir/damaged.cim"

# ---- what import refuses ----

ok "an image that is there is not overwritten" fails "base.cim" import "$dir" base.cim "$tree"
ok "a reserved name is refused" fails "reserved" import "$dir" control "$tree"
ok "a tree that is missing is said" fails "none: No such file" import "$dir" n.cim "$tmp/none"
ok "a file is no tree" fails "Not a directory" import "$dir" n.cim "$tree/a"
ok "a missing image directory is said" fails "No such file" import "$tmp/none" n.cim "$tree"
ok "a missing base is said" fails "none.cim" import --from=none.cim "$dir" n.cim "$tree"
ok "the image directory is no tree for itself" fails "directory of the images" import "$dir" n.cim "$dir"
ok "inside a tree it is left out" \
	bash -c "'$CIMFS' import -q '$dir' whole.cim '$tmp' 2>&1 | grep -q 'images: skipped' &&
		! '$CIMFS' ls '$dir/whole.cim' | grep -qx images"
rm -f "$dir/whole.cim"
exec 9<"$dir"
flock -n 9
ok "another writer is said" fails "writer" import "$dir" n.cim "$tree"
exec 9<&-

# Thirty files that cannot be read, for somebody who is not root.
mkdir -p "$tmp/secret" "$tmp/theirs"
for i in $(seq 30); do
	echo "$i" >"$tmp/secret/$i"
done
chmod 0 "$tmp"/secret/*
[ "$(id -u)" -ne 0 ] || chown 65534:65534 "$tmp/theirs"
if as_user test -x "$CIMFS" 2>/dev/null; then
	ok "files that cannot be read are listed up to twenty, and no image is made" \
		bash -c "$(declare -f as_user)
			as_user '$CIMFS' import -q '$tmp/theirs' n.cim '$tmp/secret' >'$tmp/out' 2>&1
			[ \$? -eq 1 ] && [ \"\$(grep -c 'secret/[0-9]*: Permission denied' '$tmp/out')\" -eq 20 ] &&
			[ -z \"\$(ls -A '$tmp/theirs')\" ]"
	chmod 500 "$tmp/theirs"
	ok "a directory that one may not write is said" \
		fails "may not" as_user "$CIMFS" import "$tmp/theirs" n.cim "$tree"
else
	skip "files that cannot be read are listed up to twenty" "nobody may not run $CIMFS"
	skip "a directory that one may not write is said" "nobody may not run $CIMFS"
fi

# ---- a fork on top of another image ----

lower=$tmp/lower upper=$tmp/upper
mkdir -p "$lower"/{both/deep,dir-to-file/x/y,only-lower} "$upper"/{both,file-to-dir,new}
echo lower | tee "$lower"/{changed,file-to-dir,stays,both/stays,both/deep/f,dir-to-file/x/y/z} >/dev/null
ln "$lower/stays" "$lower/hard"
ln "$lower/changed" "$lower/hard-to-changed"
ln -s stays "$lower/link-to-file"
setfattr -n user.old -v 1 "$lower/both" 2>/dev/null
echo upper | tee "$upper"/{changed,dir-to-file,both/added,file-to-dir/f,new/f,link-to-file} >/dev/null
chmod 2711 "$upper/both"
chmod 750 "$upper"
merged=$tmp/merged
cp -a "$lower" "$merged"
rm -rf "$merged"/{dir-to-file,file-to-dir,link-to-file,changed}
cp -a "$upper/." "$merged/"
ok "the lower image" import "$dir" lower.cim "$lower"
ok "a fork with another tree on top" import --from=lower.cim "$dir" upper.cim "$upper"
if command -v python3 >/dev/null; then
	ok "directories are merged, other files replaced, the rest stays" \
		diff <(tree_types "$merged") <(image_types "$dir/upper.cim")
else
	skip "directories are merged, other files replaced, the rest stays" "no python3"
fi
ok "and their contents" same_content "$merged" "$dir/upper.cim"
ok "the base is as it was" same_content "$lower" "$dir/lower.cim"
ok "a fork onto its own name replaces the image" import --from=upper.cim "$dir" upper.cim "$tmp/fork"
ok "and has what it had" prints "upper" "$CIMFS" cat "$dir/upper.cim" changed
ok "a fork keeps its base's case" fails "case" import --from=lower.cim --case=insensitive "$dir" n.cim "$upper"

# ---- upper and lower case ----

mkdir "$tmp/case" "$tmp/case/Dir"
echo 1 >"$tmp/case/Readme"
ok "a case-insensitive image" import --case=insensitive "$dir" fold.cim "$tmp/case"
ok "finds names in any case" prints 1 "$CIMFS" cat "$dir/fold.cim" README
ok "and keeps theirs" prints "Dir
Readme" "$CIMFS" ls "$dir/fold.cim"
ok "info says so" bash -c "'$CIMFS' info '$dir/fold.cim' | grep -q 'case: *insensitive'"
echo 2 >"$tmp/case/README"
ok "it refuses two names that differ in case only" fails "case only" import --case=insensitive "$dir" n.cim "$tmp/case"
ok "also on top of an image" fails "case only" import --from=fold.cim "$dir" n.cim "$tmp/case"
rm "$tmp/case/Readme"
ok "one replaces that of the base" import --from=fold.cim "$dir" fold2.cim "$tmp/case"
ok "and its name" prints "Dir
README" "$CIMFS" ls "$dir/fold2.cim"

# ---- holes ----

mkdir "$tmp/holes"
truncate -s 100M "$tmp/holes/middle" "$tmp/holes/all"
printf data | dd of="$tmp/holes/middle" bs=1 seek=50000000 conv=notrunc status=none
mkdir "$tmp/holes-images"
ok "a tree with holes" import "$tmp/holes-images" holes.cim "$tmp/holes"
if [ "$(du -k "$tmp/holes" | cut -f1)" -lt 1024 ]; then
	ok "holes take no space" bash -c "[ \"\$(du -sk '$tmp/holes-images' | cut -f1)\" -lt 2048 ]"
	ok "nor are they counted" bash -c "! '$CIMFS' ls --json '$dir/../holes-images/holes.cim' |
		grep -qE '\"blocks\": [0-9]{5}'"
else
	skip "holes take no space" "not on this file system"
	skip "nor are they counted" "not on this file system"
fi
ok "and read as zeros" same_content "$tmp/holes" "$tmp/holes-images/holes.cim"
rm -rf "$tmp/holes-images"

# ---- deep, wide, few descriptors ----

# deep N - a tree of N directories in each other, and a file in the last
deep()
{
	mkdir "$tmp/deep$1" && perl -e '
		chdir shift or die;
		for (1 .. shift) { mkdir "d" or die; chdir "d" or die }
		open F, ">", "leaf" and print F "leaf\n" or die;
	' "$tmp/deep$1" "$1"
}

for depth in 300 3000; do
	deep $depth
	ok "a tree $depth directories deep" import "$dir" deep$depth.cim "$tmp/deep$depth"
	ok "has its last file" prints leaf "$CIMFS" cat "$dir/deep$depth.cim" \
		"$(perl -e 'print "d/" x shift' $depth)leaf"
	ok "and all directories" \
		bash -c "[ \"\$('$CIMFS' ls -R '$dir/deep$depth.cim' | grep -c '^d\$')\" -eq $depth ]"
done
mkdir "$tmp/wide"
perl -e 'for (1 .. 3000) { open F, ">", "$ARGV[0]/$_" and print F $_ or die }' "$tmp/wide"
ok "a hundred descriptors are enough" \
	bash -c "ulimit -n 100 && '$CIMFS' import -q '$dir' wide.cim '$tmp/wide' &&
		[ \"\$('$CIMFS' ls '$dir/wide.cim' | wc -l)\" -eq 3000 ]"
ok "also on the way back from a deep directory" \
	bash -c "ulimit -n 100 && '$CIMFS' import -q '$dir' deep-few.cim '$tmp/deep3000'"

# ---- signals ----

# interrupted SIGNAL STATUS - an import of much data that gets a signal ends at once, and leaves nothing
interrupted()
{
	local pid status=0 before seconds=$SECONDS

	before=$(ls -A "$dir")
	# Job control, so that SIGINT is not ignored in the background.
	set -m
	"$CIMFS" import -q "$dir" n.cim "$tmp/much" &
	pid=$!
	set +m
	sleep 0.3
	kill -s "$1" "$pid"
	wait "$pid" || status=$?
	[ "$status" -eq "$2" ] || { echo "exit status $status"; return 1; }
	[ $((SECONDS - seconds)) -lt 10 ] || { echo "it took $((SECONDS - seconds)) s"; return 1; }
	[ "$(ls -A "$dir")" = "$before" ] || { ls -A "$dir"; return 1; }
	flock -n "$dir" true || { echo "the directory is still locked"; return 1; }
}

mkdir "$tmp/much"
if fallocate -l 2G "$tmp/much/data" 2>/dev/null; then
	ok "Ctrl-C ends an import at once, and nothing is left" interrupted INT 130
	ok "and so does SIGTERM" interrupted TERM 143
	ok "the next import is not disturbed" import "$dir" after.cim "$tree"
else
	skip "Ctrl-C ends an import at once, and nothing is left" "no fallocate here"
fi

plan
