#!/bin/sh
# Pruning from the command line: a smaller file that still speaks, judged; nothing when too much is lost.
. tests/cli/begin

text=$dir/text
cat >"$text" <<'END'
The quick brown fox jumps over the lazy dog near the river.
She sells sea shells by the sea shore, and the shells are surely hers.
A pleasant breeze moved the curtains while we were reading the newspaper.
Nobody knew why the old clock in the hall had stopped at noon.
END
judge=$dir/judge
echo "Who left the gate open last night, and why did nobody close it?" >"$judge"

lost() { # of the last pruning, slow and fast together
    sed -n 's/.*slow \([0-9.]*\), fast \([0-9.]*\) nats.*/\1 \2/p' "$dir/out" "$dir/err" | awk '{ print $1 + $2 }'
}

expect 2 "wanted IN.gguf" "$bin" prune $model
expect 2 "keep" "$bin" prune $model "$dir/a.gguf" --keep 0
expect 1 "cannot open" "$bin" prune "$dir/none" "$dir/a.gguf"
expect 1 "cannot write" "$bin" prune $model "$dir/none/a.gguf" --text $text
expect 2 "too short" "$bin" prune $model "$dir/a.gguf" --text tests/cases/calibrate.txt
expect 2 "part" "$bin" prune $model "$dir/a.gguf" --part toes
expect 2 "nothing would go" "$bin" prune $model "$dir/a.gguf" --part heads --keep 0.9 --text $text
expect 1 "nothing was written: with 30 % kept the divergence is" \
    "$bin" prune $model "$dir/a.gguf" --keep 0.3 --text $text --judge $judge
[ -n "$(ls "$dir" | grep gguf)" ] && fail "left behind: $(ls "$dir")"
# Judged by what it learned from, it looks better than it is; so that is not the default.
expect 0 "divergence" "$bin" prune $model "$dir/half.gguf" --keep 0.5 --force --text $text
half=$(lost)
"$bin" eval "$dir/half.gguf" --reference $model --text $text >"$dir/out" || fail "eval"
flattered=$(sed -n 's/.*divergence \([0-9.]*\) nats.*/\1/p' "$dir/out" | awk '{ n += $1 } END { print n }')
awk -v a="$flattered" -v b="$half" 'BEGIN { exit !(b > 1.1 * a) }' || fail "own text $flattered, others $half"
expect 0 "divergence" "$bin" prune $model "$dir/most.gguf" --keep 0.9 --text $text --judge $judge --force
most=$(lost)
awk -v a="$most" -v b="$half" 'BEGIN { exit !(a > 0.001 && b > 2 * a) }' || fail "90 % lose $most, 50 % $half"

size() {
    wc -c <"$dir/$1.gguf"
}

[ "$(size half)" -lt "$(size most)" ] || fail "half is not smaller than 90 %"
[ "$(size most)" -lt "$(wc -c <$model)" ] || fail "90 % is not smaller than all"
for part in heads layers 2:4; do
    expect 0 "divergence" "$bin" prune $model "$dir/$part.gguf" --part $part --keep 0.6 --force --text $text --judge $judge
done
whole=$(wc -c <$model)
[ "$(size 2:4)" = "$whole" ] || fail "2:4: $(size 2:4) bytes, all has $whole"
[ "$(size heads)" -lt "$whole" ] || fail "heads: $(size heads) bytes, all has $whole"
expect 0 "s1.block_count  *2" "$bin" inspect "$dir/layers.gguf"
expect 0 "s1.attention.head_count_kv  *1" "$bin" inspect "$dir/heads.gguf"
expect 0 "alignment.heads" "$bin" inspect "$dir/heads.gguf"
expect 0 "of sound" "$bin" say Yes. --model "$dir/heads.gguf" --captions "$dir/heads.srt" -o "$dir/heads.wav"
expect 0 "slow 0.0000, fast 0.0000" "$bin" prune $model "$dir/codec.gguf" --keep 0.75 --part codec --judge $judge
[ "$(size codec)" -lt "$whole" ] || fail "codec: $(size codec) bytes, all has $whole"
expect 0 "kB\|MB" "$bin" quantize "$dir/codec.gguf" "$dir/codec-q8.gguf" --type q8
expect 0 "of sound" "$bin" say Yes. --model "$dir/codec-q8.gguf" -o "$dir/q8.wav"
expect 0 "kB\|MB" "$bin" quantize "$dir/most.gguf" "$dir/most-q4.gguf" --type q4
expect 0 "of sound" "$bin" say Yes. --model "$dir/most-q4.gguf" -o "$dir/q4.wav"
exit $bad
