#!/bin/sh
# packaging/setup where packages are missing: a refused sudo and a failed apt-get are told apart, and what
# apt-get said can be found.  All commands it would call are ours.
set -u
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
command -v dpkg-query >/dev/null || { echo "no dpkg here"; exit 77; }
bad=0

command() { # command NAME BODY
    printf '#!/bin/sh\n%s\n' "$2" >"$dir/$1"
    chmod +x "$dir/$1"
}

setup() { # setup CODE TEXT [OPTION]: runs it, wants this
    want=$1 text=$2
    shift 2
    PATH="$dir:$PATH" TMPDIR="$dir" packaging/setup "$@" >"$dir/out" 2>&1
    code=$?
    [ $code = "$want" ] && grep -q -e "$text" "$dir/out" ||
        { echo "FAIL: exit code $code, wanted $want; said \"$(cat "$dir/out")\", wanted \"$text\""; bad=1; }
}

command dpkg-query 'exit 1'
setup 1 'what is --chekc?' --chekc
command id 'echo 1000'
command sudo 'exit 1'
command apt-get 'echo "apt-get $*"'
setup 1 'sudo was refused; have an administrator run: apt-get install build-essential'
command sudo '[ "$1" = -v ] || exec "$@"'
setup 0 '^setup: installing build-essential'
[ "$(wc -l <"$dir/out")" = 3 ] || { echo "FAIL: more than a line for each phase: $(cat "$dir/out")"; bad=1; }
command apt-get 'echo "no such mirror"; exit 100'
setup 1 'no such mirror'
log=$(sed -n 's/.*all it said is in //p' "$dir/out")
grep -q 'no such mirror' "$log" || { echo "FAIL: no log at \"$log\""; bad=1; }
exit $bad
