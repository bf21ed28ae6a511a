#!/bin/sh
# Pruning from the command line: a smaller file that still speaks, judged; nothing when too much is lost.
set -u
bin=${BUILD:-build}/jabbertts
model=models/jabber-tiny.gguf
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
text=$dir/text
cat >"$text" <<'END'
The quick brown fox jumps over the lazy dog near the river.
She sells sea shells by the sea shore, and the shells are surely hers.
A pleasant breeze moved the curtains while we were reading the newspaper.
Nobody knew why the old clock in the hall had stopped at noon.
END
export XDG_CONFIG_HOME="$dir" XDG_DATA_HOME="$dir/data"
bad=0

fail() {
    echo "FAIL: $*"
    bad=1
}

expect() { # expect CODE TEXT COMMAND...: exit code, and a text in what it says
    code=$1 want=$2
    shift 2
    "$@" >"$dir/out" 2>"$dir/err" </dev/null
    got=$?
    [ $got = "$code" ] || fail "$*: exit code $got, wanted $code: $(cat "$dir/err")"
    grep -q -e "$want" "$dir/out" "$dir/err" || fail "$*: said \"$(cat "$dir/err")\", wanted \"$want\""
}

lost() { # of the last pruning, slow and fast together
    sed -n 's/.*slow \([0-9.]*\), fast \([0-9.]*\) nats.*/\1 \2/p' "$dir/out" "$dir/err" | awk '{ print $1 + $2 }'
}

expect 2 "wanted IN.gguf" "$bin" prune $model
expect 2 "keep" "$bin" prune $model "$dir/a.gguf" --keep 0
expect 1 "cannot open" "$bin" prune "$dir/none" "$dir/a.gguf"
expect 1 "cannot write" "$bin" prune $model "$dir/none/a.gguf" --text $text
expect 2 "too short" "$bin" prune $model "$dir/a.gguf" --text tests/cases/calibrate.txt
expect 1 "nothing was written: with 30 % kept the divergence is" "$bin" prune $model "$dir/a.gguf" --keep 0.3 --text $text
[ -n "$(ls "$dir" | grep gguf)" ] && fail "left behind: $(ls "$dir")"
expect 0 "divergence" "$bin" prune $model "$dir/half.gguf" --keep 0.5 --force --text $text
half=$(lost)
expect 0 "divergence" "$bin" prune $model "$dir/most.gguf" --keep 0.9 --text $text
most=$(lost)
expect 0 "slow 0.0000, fast 0.0000" "$bin" prune $model "$dir/all.gguf" --keep 1 --text $text
awk -v a="$most" -v b="$half" 'BEGIN { exit !(a > 0.001 && b > 2 * a) }' || fail "90 % lose $most, 50 % $half"
[ "$(wc -c <"$dir/half.gguf")" -lt "$(wc -c <"$dir/most.gguf")" ] || fail "half is not smaller than 90 %"
expect 0 "of sound" "$bin" say Yes. --model "$dir/half.gguf" -o "$dir/half.wav"
expect 0 "kB\|MB" "$bin" quantize "$dir/most.gguf" "$dir/most-q4.gguf" --type q4
expect 0 "of sound" "$bin" say Yes. --model "$dir/most-q4.gguf" -o "$dir/q4.wav"
exit $bad
