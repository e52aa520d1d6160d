#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Common programs on writer/: what they make there is in the image after the commit, whatever its
# type, name, metadata or way of being written.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse

new_dir; d=$dir
new_dir; m=$dir
w=$m/writer
start_cimfsd "$d" "$m" || exit 1

# quietly REQUEST - what must work for the next check to mean anything
quietly()
{
	ctl "$m" "$1" || fail "request \"$1\" goes through" "$(result "$m")"
}

# ---- a helper for what no common program does ----

cat >"$tmp/helper.c" <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int make_socket(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strncpy(a.sun_path, name, sizeof(a.sun_path) - 1);
	return bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof(a));
}

/* Every thousandth byte of a shared mapping of 1,000,000, then msync(). */
static int write_mapped(const char *name)
{
	const size_t size = 1000000;
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	char *p;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -1;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < size; i += 1000)
		p[i] = 'm';
	return msync(p, size, MS_SYNC) < 0 || munmap(p, size) < 0 ? -1 : close(fd);
}

/* Written, unlinked, and read to the end all the same. */
static int unlink_open(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	char buf[8] = "";

	if (fd < 0 || write(fd, "deleted", 7) != 7 || unlink(name) < 0 || access(name, F_OK) == 0)
		return -1;
	return pread(fd, buf, 7, 0) == 7 && strcmp(buf, "deleted") == 0 ? close(fd) : -1;
}

int main(int argc, char **argv)
{
	int r = -1;

	if (argc == 3 && strcmp(argv[1], "socket") == 0)
		r = make_socket(argv[2]);
	else if (argc == 3 && strcmp(argv[1], "mmap") == 0)
		r = write_mapped(argv[2]);
	else if (argc == 3 && strcmp(argv[1], "unlink") == 0)
		r = unlink_open(argv[2]);
	if (r < 0)
		perror(argv[0]);
	return r < 0;
}
END
read -ra cc <<<"$CC"
ok "the test's helper is built" "${cc[@]}" -D_GNU_SOURCE -o "$tmp/helper" "$tmp/helper.c" || exit 1

# ---- a tree of the machine's files, and of all that is rare ----

src=$tmp/src
mkdir "$src"
find /usr/include /usr/share/doc /usr/share/perl /usr/share/locale /etc/alternatives ! -type d 2>"$scratch/err" |
	head -n 3000 >"$scratch/list"
tar -C / -c --ignore-failed-read -T "$scratch/list" 2>"$scratch/err" | tar -C "$src" -x 2>"$scratch/err"

mkdir "$src/odd" "$src/empty"
cd "$src/odd" || exit 1
: >empty
truncate -s 3M hole
{ truncate -s 1M holes && printf middle | dd of=holes bs=1 seek=500000 conv=notrunc status=none; }
head -c 70000 /dev/urandom | tee random >twice
mkfifo fifo
(cd "$src/odd" && "$tmp/helper" socket socket)
for i in 1 2 3; do
	ln random "hard link $i"
done
ln -s random symlink
ln -s /none dangling
ln -s "$(head -c 4000 /dev/zero | tr '\0' l)" long-target
ln symlink linked-symlink
echo 1 >$'new\nline'
echo 2 >$'tab\tand \x7f'
echo 3 >$'\xff\xfe not UTF-8'
echo 4 >$'\xed\xa0\x80 a surrogate'
echo 5 >'C:\back\slash*?|<>":'
echo 6 >' blanks '
echo 7 >'trailing.'
echo 8 >-rf
echo 9 >'ü€𝄞'
echo 10 >"$(head -c 255 /dev/zero | tr '\0' n)"
mkdir "$(printf 'd%.0s' {1..255})"
mkdir -p "$(printf 'deep/%.0s' {1..100})"
for mode in 400 444 640 1777 2755 4755 6711; do
	echo "$mode" >"mode-$mode"
	chmod "$mode" "mode-$mode"
done
mkdir -m 1777 sticky
mkdir -m 2775 setgid
touch -d '1969-12-31 23:59:59.123456789' before-1970
touch -d '1901-12-13 20:45:52' before-1902
touch -d '1601-01-01 00:00:01' oldest
touch -h -d '1965-05-05 05:05:05.5' dangling
touch -d '2106-02-07 06:28:17.7654321' after-2106
touch -d '2400-01-01' after-2400
if is_root; then
	touch mode-0; chmod 0 mode-0
	echo x >mode-111; chmod 111 mode-111
	mknod null c 1 3
	mknod loop b 7 200
	mknod large c 4095 1048575
	touch owned; chown 4294967294:1000000 owned
	chown -h 65534:65534 symlink
fi
touch xattrs; mkdir xattr-dir
if have setfattr && setfattr -n user.text -v "some text" xattrs 2>"$scratch/err"; then
	setfattr -n user.empty xattrs
	setfattr -n user.binary -v 0x00ff00ff0a xattrs
	setfattr -n user.MixedCase -v 1 xattrs
	setfattr -n user.large -v "$(head -c 2000 /dev/zero | tr '\0' v)" xattrs
	setfattr -n "user.$(head -c 200 /dev/zero | tr '\0' n)" -v long xattrs
	setfattr -n user.dir -v 1 xattr-dir
	if is_root; then
		setfattr -n trusted.overlay.opaque -v y xattr-dir
		setfattr -n security.cimfs-test -v s xattrs
		setfattr -h -n trusted.link -v l symlink
	fi
fi
if is_root && have setcap; then
	cp random capable; setcap cap_net_raw+ep capable 2>"$scratch/err"
fi
touch acl; mkdir acl-dir
if have setfacl && setfacl -m u:1234:rw,g:5678:r,m::rw acl 2>"$scratch/err"; then
	setfacl -m u:1234:rwx,d:u:1234:rx,d:g::r,d:m::rwx acl-dir
	mkdir acl-dir/inherits
	touch acl-dir/inherited
fi
cd / || exit 1
# Reading sets access times, but not twice in a day: so they are set now and stay.
sleep 0.02
tar -C "$src" -c . 2>"$scratch/err" | cat >/dev/null
find "$src" -type f -size 0 -exec cat {} +
diag "$(find "$src" | wc -l) files, $(du -sh "$src" | cut -f1)"

# Reports on a tree, with a line for each file.  This is all that find knows of it but what no two
# trees have alike, and the time when what is not yet written was read.
what_find_says()
{
	(cd "$1" && find . \( -name 'after-*' -printf '%P %y %m %U %G %n %s %b %T@\0' \) -o \
		-printf '%P %y %m %U %G %n %s %b %T@ %A@ %l\0' | sort -z | tr '\n\0' '?\n')
}

# And this what trees of other file systems have alike too: of a directory not its size and its
# links, of a file not its blocks, of times as much as the format holds.
comparable()
{
	(cd "$1" && find . \( -type d -printf '%P %y %m %U %G - - %T@ %A@\0' \) -o \
		\( -name 'after-*' -printf '%P %y %m %U %G %n %s %T@\0' \) -o \
		-printf '%P %y %m %U %G %n %s %T@ %A@ %l\0' | sort -z | tr '\n\0' '?\n') |
		sed -E 's/(\.[0-9]{7})[0-9]{3}/\1/g'
}
devices()
{
	(cd "$1" && find . \( -type b -o -type c \) -exec stat -c '%n %t:%T' {} + | sort)
}
xattrs()
{
	(cd "$1" && find . -print0 | sort -z | xargs -0 getfattr -h -d -m - -e hex -- 2>&1)
}
acls()
{
	(cd "$1" && find . ! -type l -print0 | sort -z | xargs -0 getfacl -n -- 2>&1)
}

# equal_to_source DESC DIR
equal_to_source()
{
	local report

	for report in comparable digests devices xattrs acls; do
		case $report in
		xattrs) have getfattr || continue ;;
		acls) have getfacl || continue ;;
		esac
		"$report" "$src" >"$scratch/want"
		"$report" "$2" >"$scratch/got"
		same "$1: $report" "$scratch/got" "$scratch/want"
	done
}

# rsync finds nothing to do; of a file whose time alone differs it would be told by comparable().
rsync_finds_nothing()
{
	rsync -aHAXn --checksum --delete -i "$src/" "$1/" >"$scratch/rsync" 2>&1 ||
		{ cat "$scratch/rsync"; return 1; }
	! grep -Ev '^\.[fdLDS]\.\.t\.\.\.\.\.\. ' "$scratch/rsync"
}

# ---- cp and import ----

quietly "create new=cp.cim"
ok "cp -a copies the tree into writer/" cp -a "$src/." "$w/"
equal_to_source "the writer is equal to the source" "$w"
ok "it is committed" ctl "$m" commit
equal_to_source "the image is equal to the source" "$m/cp.cim"
if have rsync; then
	ok "rsync -aHAX --checksum --delete finds nothing to do" rsync_finds_nothing "$m/cp.cim"
else
	skip "rsync -aHAX --checksum --delete finds nothing to do" "no rsync"
fi

ok "cimfs import imports the tree" "$CIMFS" import -q "$d" import.cim "$src"
equal_to_source "the imported image is equal to the source" "$m/import.cim"
if have rsync; then
	ok "rsync finds nothing to do there" rsync_finds_nothing "$m/import.cim"
fi
for report in what_find_says digests devices; do
	"$report" "$m/cp.cim" >"$scratch/want"
	"$report" "$m/import.cim" >"$scratch/got"
	same "both images agree: $report" "$scratch/got" "$scratch/want"
done
forget_caches
what_find_says "$m/cp.cim" >"$scratch/got"
what_find_says "$m/import.cim" >"$scratch/want"
same "also when nothing is cached" "$scratch/got" "$scratch/want"
archive()
{
	tar -C "$1" --sort=name --format=posix --pax-option=delete=ctime,delete=atime -c . 2>>"$scratch/err"
}
ok "tar of either is the same" cmp \
	<(archive "$m/cp.cim") <(archive "$m/import.cim")
quietly $'delete cp.cim\ndelete import.cim'

# ---- programs at work in writer/ ----

quietly "create new=work.cim"

if have git; then
	export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_CONFIG_GLOBAL=/dev/null
	export GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com GIT_CONFIG_NOSYSTEM=1
	git init -q -b main "$tmp/repo"
	cp -r "$top_srcdir/src/." "$tmp/repo/"
	git -C "$tmp/repo" add -A
	git -C "$tmp/repo" commit -qm one
	ok "git clone" git clone -q "$tmp/repo" "$w/repo"
	is "git status is clean" "$(git -C "$w/repo" status --porcelain 2>&1)" ""
	echo more >>"$w/repo/error.c"
	echo new >"$w/repo/new.c"
	is "git status sees changes" "$(git -C "$w/repo" status --porcelain | tr '\n' ' ')" \
		" M error.c ?? new.c "
	ok "git add" git -C "$w/repo" add -A
	ok "git commit" git -C "$w/repo" commit -qm two
	ok "git checkout of another branch, and back" bash -c '
		cd "$1" && git checkout -q -b other HEAD~1 && git checkout -q main' sh "$w/repo"
	ok "git gc" git -C "$w/repo" gc -q
	ok "git fsck" git -C "$w/repo" fsck --strict
else
	skip "git" "no git"
fi

mkdir "$w/build"
cat >"$w/build/configure" <<'END'
#!/bin/sh
cat >conftest.c <<EOF
int main(void) { return 0; }
EOF
${CC-cc} -o conftest conftest.c && ./conftest || exit 1
rm -f conftest conftest.c
echo '#define GREETING "built in writer/"' >config.h
sed "s|@CC@|${CC-cc}|" Makefile.in >Makefile.tmp && mv -f Makefile.tmp Makefile
END
cat >"$w/build/Makefile.in" <<'END'
CC = @CC@
hello: hello.o greet.o
	$(CC) -o $@ hello.o greet.o
hello.o greet.o: config.h
END
cat >"$w/build/hello.c" <<'END'
#include <stdio.h>
const char *greet(void);
int main(void) { return puts(greet()) < 0; }
END
cat >"$w/build/greet.c" <<'END'
#include "config.h"
const char *greet(void);
const char *greet(void) { return GREETING; }
END
chmod +x "$w/build/configure"
# not as a part of the make that runs this test
run_make()
{
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$w/build"
}
if have make; then
	# shellcheck disable=SC2016
	ok "configure" bash -c 'cd "$1" && ./configure' sh "$w/build"
	ok "make" run_make
	is "the program runs" "$("$w/build/hello")" "built in writer/"
	like "make has nothing more to do" "$(run_make 2>&1)" "is up to date"
else
	skip "make" "no make"
fi

mkdir "$w/untarred" "$w/synced"
tar -C "$src/odd" -czf "$tmp/odd.tar.gz" --exclude ./socket . 2>"$scratch/err"
ok "tar x" tar -C "$w/untarred" -xpzf "$tmp/odd.tar.gz"
is "unpacks all of it" "$(find "$w/untarred" -printf x | wc -c)" \
	"$(find "$src/odd" ! -name socket -printf x | wc -c)"
if have rsync; then
	mkdir "$tmp/sync"
	head -c 400000 /dev/urandom >"$tmp/sync/large"
	echo old >"$tmp/sync/small"
	ok "rsync -a" rsync -a "$tmp/sync/" "$w/synced/"
	printf changed | dd of="$tmp/sync/large" bs=1 seek=200000 conv=notrunc status=none
	truncate -s 350000 "$tmp/sync/large"
	echo newer >"$tmp/sync/small"
	ok "rsync -a --inplace" rsync -a --inplace --no-whole-file --checksum "$tmp/sync/" "$w/synced/"
	ok "changes what has changed" diff -r "$tmp/sync" "$w/synced"
	rm "$tmp/sync/small"
	ok "rsync -a --delete" rsync -a --delete "$tmp/sync/" "$w/synced/"
	ok "deletes what is gone" diff -r "$tmp/sync" "$w/synced"
else
	skip "rsync" "no rsync"
fi

# As an editor saves: a new file, on disk, in the place of the old one.
save()
{
	printf 'line\n%.0s' {1..1000} >"$w/.text.swp" && sync "$w/.text.swp" &&
		chmod --reference="$w/text" "$w/.text.swp" && mv -f "$w/text" "$w/text~" &&
		mv -f "$w/.text.swp" "$w/text" && sync "$w"
}
echo first >"$w/text"
chmod 640 "$w/text"
ok "an editor's save" save
is "puts the new file in the place of the old, which has another name" \
	"$(wc -l <"$w/text") $(stat -c %a "$w/text") $(cat "$w/text~")" "1000 640 first"

if have sqlite3; then
	fill="CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
		INSERT INTO t SELECT i, hex(randomblob(20)) FROM n;
		CREATE INDEX by_text ON t(text); DELETE FROM t WHERE id % 3 = 0; VACUUM;"
	ok "sqlite3 fills a database" sqlite3 "$w/database" "$fill"
	is "which is whole" "$(sqlite3 "$w/database" "PRAGMA integrity_check; SELECT count(*) FROM t")" \
		$'ok\n3334'
	ok "sqlite3 fills one with a write-ahead log, in shared memory" \
		sqlite3 "$w/wal" "PRAGMA journal_mode=WAL; $fill"
	is "which is whole" "$(sqlite3 "$w/wal" "PRAGMA integrity_check; PRAGMA journal_mode=DELETE")" \
		$'ok\ndelete'
else
	skip "sqlite3" "no sqlite3"
fi

ok "a program writes through a shared mapping" "$tmp/helper" mmap "$w/mapped"
is "every write is there" "$(tr -d '\0' <"$w/mapped" | wc -c) $(stat -c %s "$w/mapped")" "1000 1000000"
ok "a file that is unlinked can be used while it is open" "$tmp/helper" unlink "$w/unlinked"

head -c 100000 /dev/urandom >"$tmp/data"
cp "$tmp/data" "$w/data"
for f in "$tmp/data" "$w/data"; do
	truncate -s 50001 "$f"
	truncate -s 90000 "$f"
	printf 'in the middle' | dd of="$f" bs=1 seek=33333 conv=notrunc status=none
	printf 'far behind' | dd of="$f" bs=1 seek=200000 conv=notrunc status=none
	echo appended >>"$f"
done
same "truncate, dd conv=notrunc, a hole and >> do what they do elsewhere" "$w/data" "$tmp/data"
cp "$tmp/data" "$w/punched"
if fallocate -p -o 4096 -l 8192 "$tmp/data" 2>"$scratch/err"; then
	ok "fallocate -p" fallocate -p -o 4096 -l 8192 "$w/punched"
	same "leaves zeros" "$w/punched" "$tmp/data"
else
	skip "fallocate -p" "the file system to compare with has none"
fi
ok "fallocate -l makes a file longer" fallocate -l 300000 "$w/allocated"
is "as asked for" "$(stat -c %s "$w/allocated")" 300000

mkdir -p "$w/from/a/b" "$w/to"
for i in {1..300}; do
	echo "$i" >"$w/from/a/b/$i"
done
ok "mv of a directory into another" mv "$w/from/a" "$w/to/moved"
is "takes everything along" "$(cat "$w"/to/moved/b/* | sort -n | md5sum)" "$(seq 300 | md5sum)"
ok "find -delete" find "$w/to/moved/b" -name '*[02468]' -delete
is "deletes what it should" "$(find "$w/to/moved/b" -type f | wc -l)" 150
ok "rm -rf" rm -rf "$w/from"
fails_with "a directory that is not empty cannot be removed" "not empty" rmdir "$w/to/moved"
fails_with "a directory cannot be moved into itself" "subdirectory of itself" mv "$w/to" "$w/to/moved/to"

# ---- and in the image ----

comparable "$w" >"$scratch/find.writer"
digests "$w" >"$scratch/digests.writer"
ok "all that is committed" ctl "$m" commit
forget_caches
work=$m/work.cim
digests "$work" >"$scratch/got"
same "contents are as they were seen before the commit" "$scratch/got" "$scratch/digests.writer"
comparable "$work" >"$scratch/got"
same "and so are types, modes, owners, links, sizes and times" "$scratch/got" "$scratch/find.writer"

have make && is "the program runs from the image" "$("$work/build/hello")" "built in writer/"
if have git; then
	# the image's files are its builder's, who need not be who runs git
	image_git=(git -c safe.directory='*' -C "$work/repo")
	ok "git fsck of the image" "${image_git[@]}" fsck --strict
	is "git log has both commits" "$("${image_git[@]}" log --format=%s | tr '\n' ' ')" "two one "
	is "git status is clean" \
		"$(GIT_OPTIONAL_LOCKS=0 "${image_git[@]}" status --porcelain 2>&1)" ""
	ok "and it can be cloned from" git -c safe.directory='*' clone -q "$work/repo" "$tmp/clone"
fi
if have sqlite3; then
	for name in database wal; do
		is "the $name in the image is whole" "$(sqlite3 "file:$work/$name?immutable=1" \
			"PRAGMA integrity_check; SELECT count(*) FROM t" 2>&1)" $'ok\n3334'
	done
fi
is "every write through the mapping is in the image" "$(tr -d '\0' <"$work/mapped" | wc -c)" 1000

quietly "create existing=work.cim new=next.cim"
# shellcheck disable=SC2016
ok "in a fork all files can be changed" find "$w" -type f -exec \
	sh -c 'for f; do chmod u+w "$f" && echo . >>"$f" || exit; done' sh {} +
ok "and directories removed" rm -rf "$w/untarred" "$w/repo"
ok "and be committed" ctl "$m" commit
is "it has the changes" "$(tail -n 1 "$m/next.cim/text")" .
digests "$work" >"$scratch/got"
same "without the base being touched" "$scratch/got" "$scratch/digests.writer"
quietly $'delete work.cim\ndelete next.cim'
ok "and in the end nothing is left" only_images "$d"
ok "the daemon ends in order" stop_cimfsd "$m"

plan
