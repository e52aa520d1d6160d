#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Directories that change while they are listed.  The kernel opens directories without asking and
# caches what it lists, so every line of this is a promise that a cache could break.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse

new_dir
d=$dir
mkdir "$tmp/m"
m=$tmp/m
start_cimfsd "$d" "$m" || exit 1

# names DIR - by a glob: which asks for no attributes, so nothing but the listing itself can be new
names()
{
	(cd "$1" && shopt -s nullglob && echo *)
}

# ---- the root, which others change as well ----

mkdir "$tmp/tree" && echo text >"$tmp/tree/file"
is "there is no image at first" "$(names "$m")" "control"
is "nor at a second look" "$(names "$m")" "control"
ok "another process makes one in the directory" "$CIMFS" import -q "$d" a.cim "$tmp/tree"
is "it is listed at once" "$(names "$m")" "a.cim control"
ctl "$m" 'create new=b.cim'
is "so is writer/" "$(names "$m")" "a.cim control writer"
echo text >"$m/writer/file"
is "its file is listed" "$(names "$m/writer")" "file"
ctl "$m" commit
is "and after the commit the image is, and no writer/" "$(names "$m")" "a.cim b.cim control"
ok "another process deletes an image" "$CIMFS" delete "$d/a.cim"
is "which is gone at once" "$(names "$m")" "b.cim control"
is "an image's own listing is cached, and right" "$(names "$m/b.cim") $(names "$m/b.cim")" \
	"file file"

# ---- writer/ ----

ctl "$m" 'create new=c.cim'
w=$m/writer
mkdir "$w/many"
(cd "$w/many" && seq -f 'a-file-with-a-long-name-%g' 3000 | xargs touch)
is "a large directory has all its files" "$(ls -U "$w/many" | sort -u | wc -l)" 3000
is "find -delete, which removes what it has just read, leaves none" \
	"$(find "$w/many" -type f -delete 2>&1; names "$w/many")" ""
(cd "$w/many" && seq -f 'b-file-with-a-long-name-%g' 3000 | xargs touch)
is "two that are read and changed at the same time are read whole" "$(
	exec 5< <(find "$w/many" -name 'b-*[02468]' -delete -print)
	find "$w/many" -name 'b-*[13579]' | sort -u | wc -l
	wc -l <&5)" "1500
1500"
is "what is left is listed" "$(ls -U "$w/many" | wc -l)" 1500

# More listings begun than are kept: 80 readers that have each read a part, and then go on.
readers=80
for ((i = 0; i < readers; i++)); do
	mkdir "$w/$i" && (cd "$w/$i" && seq -f "file-with-a-name-that-takes-some-room-%04g" 400 | xargs touch)
done
if have perl; then
	is "eighty directories are read in turns, each whole" "$(perl -e '
		my ($w, $n) = @ARGV;
		my (@dirs, %seen);
		opendir($dirs[$_], "$w/$_") || die for 0 .. $n - 1;
		for (my $more = 1; $more;) {
			$more = 0;
			for my $i (0 .. $n - 1) {
				for (1 .. 50) {
					my $name = readdir($dirs[$i]) // last;
					$more = 1;
					$seen{"$i/$name"}++;
				}
			}
		}
		print scalar(keys %seen), " ", scalar(grep { $_ > 1 } values %seen), "\n";
		' "$w" "$readers")" "$((readers * 402)) 0"
	is "a place that was told and is sought again is the same" "$(perl -e '
		opendir(my $d, $ARGV[0]) || die;
		readdir($d) for 1 .. 100;
		my $at = telldir($d);
		my $name = readdir($d);
		1 while defined readdir($d);
		seekdir($d, $at);
		my $again = readdir($d);
		rewinddir($d);
		my $all = () = readdir($d);
		print $name eq $again ? "same" : "$name, not $again", " $all\n";
		' "$w/7")" "same 402"
else
	skip "readers in turns, and places that are sought again" "no perl"
fi
ctl "$m" close
ok "the daemon ends" stop_cimfsd "$m"

plan
