#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual pages are well-formed and complete: each option that --help prints is in its page, and
# no other; so are the commands of cimfs and the verbs of the control file.  CONTRIBUTING has a line
# for each file.  Needs no mount.  TAP.
set -eu
export LC_ALL=C.UTF-8

: "${top_srcdir:=.}" "${top_builddir:=.}"
: "${CIMFSD:=$top_builddir/cimfsd}" "${CIMFS:=$top_builddir/cimfs}"

shopt -s nullglob
man=$top_srcdir/man
n=0
failed=0

# check NAME LINES - passes when there are none; they are the diagnosis when there are
check()
{
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		failed=1
		echo "not ok $n - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
	fi
}

skip()
{
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# check_same NAME LIST EXPECTED - passes when two lists of lines are equal, and not empty
check_same()
{
	local diagnosis

	diagnosis=$(comm -3 <(sort -u <<<"$2") <(sort -u <<<"$3") |
		sed -e 's/^\t/missing: /; t' -e 's/^/should not be there: /')
	[ -n "$2$3" ] || diagnosis="nothing was found"
	check "$1" "$diagnosis"
}

# terms PAGE SECTION - the tagged terms of a section or subsection, as plain text
terms()
{
	awk -v section="$2" '
		/^\.S[HS] / {
			sub(/^\.S[HS] /, "")
			gsub(/"/, "")
			inside = $0 == section
			next
		}
		inside && tagged {
			gsub(/\\f[A-Z]/, "")
			gsub(/\\-/, "-")
			gsub(/"/, "")
			sub(/^\.[A-Z]+ /, "")
			gsub(/ +/, " ")
			print
		}
		{ tagged = /^\.T[PQ]/ }' "$man/$1"
}

# options - the options in terms or in the left column of --help, one a line; -o NAME for those of
# mount
options()
{
	sed -n 's/^ *\(-.*\)$/\1/p' | sed 's/  .*//' | while read -r term; do
		case $term in
		"-o "*)
			grep -oE '[a-z_]+=?' <<<"${term#-o }" | sed 's/=$//; s/^/-o /'
			;;
		*)
			grep -oE -- '(^|[ ,])--?[A-Za-z][a-z-]*' <<<"$term" | tr -d ' ,'
			;;
		esac
	done
}

# commands - the commands in the help of cimfs
commands()
{
	"$CIMFS" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

check_form()
{
	local page=$1 warnings

	if command -v mandoc >/dev/null; then
		check "$page has no lint" "$(mandoc -T lint "$man/$page" 2>&1 || true)"
	else
		skip "$page has no lint" "there is no mandoc"
	fi
	# Only that of man-db has --warnings.
	if man --version 2>/dev/null | grep -q '^man [0-9]'; then
		warnings=$(MANROFFSEQ='' MANWIDTH=80 \
			man --warnings -E UTF-8 -l -Tutf8 -Z "$man/$page" 2>&1 >/dev/null || true)
		check "man has no warnings about $page" "$warnings"
	else
		skip "man has no warnings about $page" "man is not man-db"
	fi
}

check_cimfs()
{
	local command names

	names=$(commands)
	check_same "cimfs.1 has the commands of cimfs --help" \
		"$(sed -n '/^\.SH COMMANDS/,/^\.SH JSON/s/^\.SS //p' "$man/cimfs.1")" "$names"
	check_same "cimfs.1 has the options of cimfs --help" \
		"$(terms cimfs.1 OPTIONS | options)" "$("$CIMFS" --help | options)"
	for command in $names; do
		# -h is that of every command, and in OPTIONS.
		check_same "cimfs.1 has the options of cimfs $command --help" \
			"$(echo --help; terms cimfs.1 "$command" | options)" \
			"$("$CIMFS" "$command" --help | options | grep -vx -e -h)"
	done
}

# The rules that the checker names in its findings.
check_findings()
{
	local file

	check_same "cimfs.1 has the rules that fsck names" \
		"$(sed -n '/^\.SH FINDINGS/,/^\.SH TARS/{/^\.TP/{n;s/^\.B //;s/\\//g;p}}' "$man/cimfs.1")" \
		"$(for file in "$top_srcdir"/src/fsck*.c; do
			sed 's/\(fsck\|region\)_\(damage\|note\)/\2/' "$file" | tr -d '\n' |
				grep -oE '\b(damage|note)\([^";]*"[a-z-]+"' | grep -oE '"[a-z-]+"$' | tr -d '"'
		done)"
}

# modules DIRECTORY… - the source files there, without what follows the first dot
modules()
{
	local directory file

	for directory; do
		for file in "$top_srcdir/$directory"/*.{c,h,in,map}; do
			file=${file##*/}
			echo "$directory/${file%%.*}"
		done
	done
}

# listed - the same from CONTRIBUTING
listed()
{
	awk '/^(src|fuse|tool)\/, / { directory = substr($1, 1, index($1, "/")); next }
		/^[^\t]/ { directory = "" }
		directory && NF { print directory $1 }' "$top_srcdir/CONTRIBUTING"
}

for page in cimfs.1 cimfs-control.5 cimfs-format.5 cimfsd.8 libcimfs.3; do
	check_form "$page"
done
check_same "cimfsd.8 has the options of cimfsd --help" \
	"$(terms cimfsd.8 OPTIONS | options)" "$("$CIMFSD" --help | options)"
check_same "libcimfs.3 has the functions of cimfs.h" \
	"$(grep -oE '\bCim[A-Z][a-z][A-Za-z0-9]*' "$man/libcimfs.3" | sort -u)" \
	"$(grep -oE '^[A-Za-z].*\bCim[A-Z][A-Za-z0-9]*\(' "$top_srcdir/src/cimfs.h" |
		grep -oE 'Cim[A-Za-z0-9]*\(' | tr -d '(' | sort -u)"
check_cimfs
check_findings
check_same "cimfs-control.5 has the verbs of the control file" \
	"$(terms cimfs-control.5 REQUESTS | sed 's/ .*//')" \
	"$(sed -n 's/^\t{ "\([a-z]*\)", CIM_VERB_.*/\1/p' "$top_srcdir/fuse/control.c")"
check_same "CONTRIBUTING has a line for each file" "$(listed)" "$(modules src fuse tool)"

echo "1..$n"
exit $failed
