#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Other users on a mount: what allow_other lets them do, what an image can do to them, and with how
# little the daemon itself gets by.
set -u

. "${top_srcdir:=.}/tests/lib.sh"
need_fuse
is_root || skip_all "it takes root to be several users"
have setpriv || skip_all "there is no setpriv"

other=65534 # nobody; any user without privileges will do
as_other=(setpriv --reuid=$other --regid=$other --clear-groups)

new_dir; d=$dir
new_dir; m=$dir

tree=$tmp/tree
mkdir -p "$tree"/{open,closed,theirs}
echo text >"$tree/open/file"
echo secret >"$tree/open/secret"
chmod 600 "$tree/open/secret"
echo deep >"$tree/closed/file"
chmod 700 "$tree/closed"
echo acl >"$tree/open/acl"
chmod 600 "$tree/open/acl"
setfacl -m "u:$other:r" "$tree/open/acl"
chown $other:$other "$tree/theirs"

# programs that would like to be more than who runs them
cp /usr/bin/id "$tree/id"
chmod 4755 "$tree/id"
cp /bin/cat "$tree/cat"
chmod 755 "$tree/cat"
# version 2, effective, CAP_SYS_ADMIN (bit 21) permitted
setfattr -n security.capability -v 0x0100000200002000000000000000000000000000 "$tree/cat" ||
	skip_all "security.capability cannot be set here"
mknod "$tree/zero" c 1 5
chmod 666 "$tree/zero"
"$CIMFS" import -q "$d" base.cim "$tree"

denied="Permission denied"
# as_user COMMAND… - a shell command of another user
as_user()
{
	"${as_other[@]}" bash -c "$1" sh "${@:2}"
}

# flags MOUNTPOINT - of the mount, and of the file system
flags()
{
	awk -v point="$1" '$5 == point { print $6, $NF }' /proc/self/mountinfo
}

# ---- without allow_other ----

start_cimfsd "$d" "$m" || exit 1
fails_with "nobody else comes in" "$denied" as_user 'ls "$1"' "$m"
fails_with "not for what is in it either" "$denied" as_user 'cat "$1/base.cim/open/file"' "$m"
stop_cimfsd "$m"

# ---- allow_other ----

start_cimfsd -o allow_other "$d" "$m" || exit 1
like "allow_other: the kernel checks permissions" "$(flags "$m")" 'default_permissions'
like "allow_other: no set-user-ID, no devices" "$(flags "$m")" 'nosuid,nodev'
is "allow_other: others read what is readable" \
	"$(as_user 'cat "$1/base.cim/open/file"' "$m")" text
fails_with "allow_other: not what is not" "$denied" as_user 'cat "$1/base.cim/open/secret"' "$m"
fails_with "allow_other: nor below a directory that is closed" "$denied" \
	as_user 'cat "$1/base.cim/closed/file"' "$m"
is "allow_other: but what an ACL lets them" "$(as_user 'cat "$1/base.cim/open/acl"' "$m")" acl
cat "$m/base.cim/open/secret" "$m/base.cim/closed/file" >"$scratch/out"
fails_with "allow_other: also when root has just read it" "$denied" \
	as_user 'cat "$1/base.cim/open/secret"' "$m"
fails_with "allow_other: nor when they are quick" "$denied" as_user 'ls "$1/base.cim/closed"' "$m"
like "allow_other: the state can be read" "$(as_user 'cat "$1/control"' "$m")" '^writer: none$'
fails_with "allow_other: control cannot be written, as the directory cannot" "$denied" \
	as_user 'echo "create new=x.cim" >"$1/control"' "$m"
ctl "$m" "create existing=base.cim new=w.cim"
fails_with "allow_other: writer/ is root's" "$denied" as_user 'touch "$1/writer/new"' "$m"
fails_with "allow_other: with its files" "$denied" as_user 'echo x >"$1/writer/open/file"' "$m"
ok "allow_other: what is theirs in it is theirs" as_user 'echo x >"$1/writer/theirs/file"' "$m"
is "allow_other: also what they make" "$(stat -c %u:%g "$m/writer/theirs/file")" $other:$other
fails_with "allow_other: they give nothing away" "not permitted" \
	as_user 'chown 0 "$1/writer/theirs/file"' "$m"
fails_with "allow_other: and make no device" "not permitted" \
	as_user 'mknod "$1/writer/theirs/zero" c 1 5' "$m"
ctl "$m" close

# Directories to which others may add files.
chmod 777 "$d"
ok "777: others may write control" as_user 'echo "create new=x.cim" >"$1/control"' "$m"
like "777: and are named in the state" "$(grep ^writer: "$m/control")" "for uid $other "
ok "777: and close it" as_user 'echo close >"$1/control"' "$m"
ok "777: and delete, as they may remove files" \
	as_user 'printf "create existing=base.cim new=y.cim\ncommit\ndelete y.cim\n" >"$1/control"' "$m"
chmod 1777 "$d"
ok "sticky: others may still make images" \
	as_user 'printf "create existing=base.cim new=y.cim\ncommit\n" >"$1/control"' "$m"
fails_with "sticky: but not delete those of root" "$denied" \
	as_user 'echo "delete base.cim" >"$1/control"' "$m"
like "sticky: which is said" "$(result "$m")" '^0x80070005 E_ACCESSDENIED .*sticky'
fails_with "sticky: nor replace them" "$denied" \
	as_user 'echo "create existing=base.cim" >"$1/control"' "$m"
fails_with "sticky: by both names neither" "$denied" \
	as_user 'echo "create existing=base.cim new=base.cim" >"$1/control"' "$m"
chown $other "$d/y.cim"
ok "sticky: their own they may" as_user 'echo "delete y.cim" >"$1/control"' "$m"
ok "sticky: root may anyway" ctl "$m" $'create existing=base.cim\nclose'
chmod 755 "$d"
exec 3>"$m/control"
setfacl -m "u:$other:rwx" "$d"
ok "an open control file is root's who opened it" bash -c 'echo "create new=z.cim" >&3'
exec 3>&-
ctl "$m" close
setfacl -b "$d"

# ---- what is in an image has no effect on who looks at it ----

is "set-user-ID: a program of an image is nobody else than who runs it" \
	"$(as_user '"$1/base.cim/id" -u' "$m")" $other
is "capabilities: a program of an image has none" \
	"$(as_user '"$1/base.cim/cat" /proc/self/status' "$m" | sed -n 's/^CapEff:\t//p')" \
	0000000000000000
fails_with "devices: one of an image cannot be opened" "$denied" \
	as_user 'head -c 1 "$1/base.cim/zero"' "$m"
fails_with "devices: not by root either" "$denied" head -c 1 "$m/base.cim/zero"
ctl "$m" "create existing=base.cim new=w.cim"
is "set-user-ID: nor is one in writer/" "$(as_user '"$1/writer/id" -u' "$m")" $other
fails_with "devices: nor one in writer/" "$denied" head -c 1 "$m/writer/zero"
ctl "$m" close
stop_cimfsd "$m"

# ---- a daemon with no privileges ----

# mount.fuse3 makes the mount, and gives the daemon no more than the descriptor.  It takes the type
# of the mount from the program's name, so the directory of that has to be in PATH.
mkdir "$tmp/bin"
# As systemd/cimfsd@.service has it: these capabilities to mount with, and never more.
unit=$top_builddir/systemd/cimfsd@.service
caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr A-Z a-z | sed 's/cap_/+/g; s/ /,/g')
confined=(setpriv --no-new-privs --bounding-set="-all,$caps" --inh-caps="-all")
cp "$CIMFSD" "$tmp/bin/cimfsd"
chmod 755 "$tmp/bin/cimfsd"
as_helper()
{
	PATH=$tmp/bin:$PATH timeout -k 5 "$LIMIT" "${confined[@]}" mount.fuse3 "cimfsd#$d" "$m" -o "$1" \
		>"$scratch/out" 2>&1 && wait_for answers "$m"
}
# serving - the process behind the mount of $d at $m
serving()
{
	pgrep -f "^cimfsd $d /dev/fd/" || pgrep -f "^$tmp/bin/cimfsd $d /dev/fd/"
}
# privileges PID - its user, capabilities, and whether it can get more
privileges()
{
	awk '/^(Uid|CapInh|CapPrm|CapEff|CapBnd|NoNewPrivs):/ { print $1 $2 }' "/proc/$1/status" |
		tr '\n' ' '
}
none=0000000000000000

if have mount.fuse3; then
	chown $other:$other "$d"
	for user in 0 $other; do
		chown -R $user "$d"
		options=drop_privileges,nosuid,nodev,allow_other
		[ "$user" = 0 ] || options=setuid=$(id -un $other),$options
		ok "$options: is mounted" as_helper "$options"
		pid=$(serving)
		is "$options: the daemon is user $user, has no capability and gets none" \
			"$(privileges "$pid")" \
			"Uid:$user CapInh:$none CapPrm:$none CapEff:$none CapBnd:$none NoNewPrivs:1 "
		like "$options: the mount is safe" "$(flags "$m")" 'nosuid,nodev.*default_permissions'
		is "$options: others read" "$(as_user 'cat "$1/base.cim/open/file"' "$m")" text
		fails_with "$options: not everything" "$denied" \
			as_user 'cat "$1/base.cim/open/secret"' "$m"
		ok "$options: images are made" ctl "$m" "create existing=base.cim new=new.cim"
		ok "$options: of files of any owner" chown 1234:5678 "$m/writer/open/file"
		ok "$options: and committed" ctl "$m" commit
		is "$options: as they were" "$(stat -c %u:%g "$m/new.cim/open/file")" 1234:5678
		ok "$options: and deleted" ctl "$m" "delete new.cim"
		ok "$options: it ends with the mount" \
			bash -c 'umount "$1" && tail --pid="$2" -f /dev/null' sh "$m" "$pid"
		ok "$options: nothing is left" only_images "$d" base.cim
	done
	chown -R 0:0 "$d"
	fails_with "over itself: is refused, and does not wait for itself" "mounted over itself" \
		env PATH="$tmp/bin:$PATH" mount.fuse3 "cimfsd#$d" "$d" -o drop_privileges,nosuid,nodev
	umount -l "$d"
	as_helper drop_privileges
	like "drop_privileges alone is refused, for it mounts without nosuid and nodev" \
		"$(cat "$scratch/out")" 'nosuid'
	ok "the next start clears what that left" start_cimfsd "$d" "$m"
	stop_cimfsd "$m"
else
	skip "a daemon with no privileges" "no mount.fuse3"
fi

# unit_runs KIND - the commands of this kind that the unit has, as it runs them but for /run/cimfs;
# they find $d in CIMFSD_DIR, and the options in CIMFSD_OPTIONS
unit_runs()
{
	local commands line

	commands=$(sed -n "s|/run/cimfs/%i|$tmp/run/it|; s/^$1=//p" "$unit")
	while read -r line; do
		CIMFSD_DIR=$d PATH=$tmp/bin:$PATH timeout -k 5 "$LIMIT" "${confined[@]}" \
			sh -c "${line#-}" >"$scratch/out" 2>&1 || [ "${line#-}" != "$line" ] || return 1
	done <<<"$commands"
}

unit_starts()
{
	unit_runs ExecStartPre && unit_runs ExecStart && wait_for answers "$tmp/run/it"
}

if have mount.fuse3; then
	for user in 0 $other; do
		chown -R $user "$d"
		export CIMFSD_OPTIONS=allow_other
		[ "$user" = 0 ] || CIMFSD_OPTIONS=allow_other,setuid=$(id -un $other)
		ok "unit, $CIMFSD_OPTIONS: mounts" unit_starts
		pid=$(serving)
		ok "unit, $CIMFSD_OPTIONS: after the daemon was killed" \
			bash -c 'kill -9 "$1" && tail --pid="$1" -f /dev/null' sh "$pid"
		ok "unit, $CIMFSD_OPTIONS: what is left goes" unit_runs ExecStopPost
		ok "unit, $CIMFSD_OPTIONS: mounts again" unit_starts
		pid=$(serving)
		ok "unit, $CIMFSD_OPTIONS: unmounts" unit_runs ExecStop
		ok "unit, $CIMFSD_OPTIONS: the daemon ends" tail --pid="$pid" -f /dev/null
		ok "unit, $CIMFSD_OPTIONS: and its end is in order" unit_runs ExecStopPost
		is "unit, $CIMFSD_OPTIONS: nothing is left" "$(ls "$tmp/run")" ""
	done
	chown -R 0:0 "$d"
	unset CIMFSD_OPTIONS
	exits_with "unit: the mount point is none that systemd sets up, which a dead mount prevents" \
		1 grep '^RuntimeDirectory=' "$unit"
else
	skip "the unit's commands" "no mount.fuse3"
fi

desc="systemd-analyze has nothing to say about the unit"
if have systemd-analyze; then
	cp "$unit" "$tmp/cimfsd@test.service"
	ok "$desc" systemd-analyze verify --man=no "$tmp/cimfsd@test.service"
	is "$desc: really nothing" "$(cat "$scratch/out")" ""
else
	skip "$desc" "no systemd-analyze"
fi

# ---- a daemon that dies, and one that hangs ----

is_gone()
{
	! mounted "$m"
}
# dies_alone - whether a daemon that is killed is unmounted.  fusermount3, which sees to it, gives up
# if it looks at the mount before the kernel has ended it (2 in 60 here): then the mount stays, and
# is cleared by the next start.
dies_alone()
{
	local i

	start_cimfsd -o auto_unmount "$d" "$m" || return
	cmp "$tree/open/file" "$m/base.cim/open/file" || return
	kill_cimfsd "$m"
	for ((i = 0; i < 150; i++)); do
		is_gone && return
		sleep 0.02
	done
	return 1
}
one_dies_alone()
{
	dies_alone || dies_alone || dies_alone || dies_alone || dies_alone
}
ok "auto_unmount: a daemon that is killed is unmounted" one_dies_alone

start_cimfsd "$d" "$m"
pid=$daemon
number=$(stat -c %d "$m")
kill -STOP "$pid"
(cat "$m/control" >"$scratch/cat" 2>&1; echo "$?" >"$scratch/status") &
hanging=$!
abort='[ -e /sys/fs/fuse/connections/$1/abort ] || mount -t fusectl none /sys/fs/fuse/connections
	echo 1 >/sys/fs/fuse/connections/$1/abort'
ok "hangs: its connection can be aborted" unshare -m bash -ec "$abort" sh "$number"
ok "hangs: who waited for it goes on" tail --pid="$hanging" -f /dev/null
is "hangs: with an error" "$(cat "$scratch/status")" 1
kill -CONT "$pid"
reap "$m"
is "hangs: the daemon ends when it wakes" "$?" 0
wait_for is_gone || fusermount3 -u -z "$m"
ok "hangs: and can be started again" start_cimfsd "$d" "$m"
ok "hangs: with its image" cmp "$tree/open/file" "$m/base.cim/open/file"
stop_cimfsd "$m"

# ---- few descriptors ----

for ((i = 0; i < 20; i++)); do
	cp "$d/base.cim" "$d/copy-$i.cim"
done
for limit in 14 18 64; do
	desc="$limit descriptors"
	(
		ulimit -n "$limit"
		exec "$CIMFSD" -f "$d" "$m"
	) >>"$scratch/log" 2>&1 </dev/null &
	daemon=$!
	daemon_of[$m]=$daemon
	if ! wait_for is_up_or_over "$m" "$daemon" || ! answers "$m"; then
		reap "$m"
		is "$desc: too few are an error at the start" "$?" 1
		continue
	fi
	holders=()
	n_held=0
	for ((i = 0; i < 20; i++)); do
		(cd "$m/copy-$i.cim/open" 2>>"$scratch/err" && exec sleep 1000) &
		holders+=($!)
	done
	for ((i = 0; i < 20; i++)); do
		cat "$m/copy-$i.cim/open/file" >>"$scratch/cat" 2>>"$scratch/err" && n_held=$((n_held + 1))
	done
	diag "$desc: $n_held of 20 images read"
	ok "$desc: the daemon lives" answers "$m"
	if ctl "$m" "create new=few.cim" 2>"$scratch/err" && echo few >"$m/writer/file" &&
		ctl "$m" commit 2>"$scratch/err"; then
		is "$desc: what is committed is there" "$(cat "$m/few.cim/file")" few
		ctl "$m" "delete few.cim"
	else
		like "$desc: what cannot be done is said" "$(result "$m")" 'Too many open files'
		ctl "$m" close 2>"$scratch/err"
	fi
	kill "${holders[@]}"
	wait "${holders[@]}" 2>>"$scratch/err"
	ok "$desc: when they are let go all goes on" cmp "$tree/open/file" "$m/base.cim/open/file"
	ok "$desc: the daemon ends in order" stop_cimfsd "$m"
	ok "$desc: nothing is left" only_images "$d" base.cim copy-{0..19}.cim
done

plan
