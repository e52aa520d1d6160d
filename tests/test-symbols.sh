#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What libcimfs.so exports is what cimfs.h declares, and all of it begins with Cim.
set -eu

: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}" "${NM:=nm}"

header=$top_srcdir/src/cimfs.h
library=$top_builddir/.libs/libcimfs.so
failed=0
n=0

# CC and NM may hold options
read -ra cc <<<"$CC"
read -ra nm <<<"$NM"

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

# The node of the version script is a symbol too, of type A.
exported=$("${nm[@]}" -D --defined-only "$library" |
	awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u)

# Comments mention functions too, so ask the preprocessor; keep what comes from the header itself.
declared=$("${cc[@]}" -E -x c "$header" |
	awk -v header="$header" '
		/^# [0-9]+ / { ours = $3 == "\"" header "\""; next }
		ours { print }' |
	grep -oE '\bCim[A-Za-z0-9_]*[[:space:]]*\(' | tr -d ' \t(' | sort -u)

echo "1..4"
check "the library exports something" "$([ -n "$exported" ] || echo "nothing in $library")"
check "every exported symbol begins with Cim" "$(grep -v '^Cim' <<<"$exported" || true)"
check "every exported symbol is declared in cimfs.h" \
	"$(comm -23 <(echo "$exported") <(echo "$declared"))"
check "every function of cimfs.h is exported" \
	"$(comm -13 <(echo "$exported") <(echo "$declared"))"
exit $failed
