#!/bin/sh
# The shared library exports what its headers promise and the list of symbols names, nothing else.
library=${BUILD:-build}/libjabbertts.so
command -v nm >/dev/null || { echo "no nm"; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
export LC_ALL=C
# Sanitizers and coverage add names of their own, none with ours before it.
nm -D --defined-only "$library" | awk '{ print $3 }' | grep -v '^_' |
    sort -u >"$dir/library"
sed -n 's/^ \([a-z_0-9]*\)@Base .*/\1/p' packaging/debian/libjabbertts0.symbols | sort -u >"$dir/list"
# A function is a name before a parenthesis in a declaration marked as part of the interface.
cat include/*.h | tr '\n' ' ' | grep -oE 'JABBERTTS_API[^;({]*[ *]jabbertts_[a-z0-9_]+ ?(\(|;|\[)' |
    grep -oE 'jabbertts_[a-z0-9_]+ ?[([;]$' | tr -d ' ([;' | sort -u >"$dir/headers"
failed=0
differ() {
    diff "$dir/$1" "$dir/$2" >"$dir/diff" && return
    echo "FAIL: < only in the $1, > only in the $2 (packaging/debian/libjabbertts0.symbols is the list: a name"
    echo "that is taken out of it, or changed in what it takes, is a new soname)"
    cat "$dir/diff"
    failed=1
}
[ -s "$dir/library" ] || { echo "FAIL: no symbol in $library"; failed=1; }
differ library list
differ headers list
[ $failed = 0 ]
