#!/bin/sh
# Smaller models from the command line: they speak, eval tells them from the original and the original
# from nothing, and wrong use is told.
. tests/cli/begin

expect 2 "wanted IN.gguf" "$bin" quantize $model
expect 2 "wanted --type" "$bin" quantize $model "$dir/a.gguf"
expect 2 "must be one of q8 q4 mixed" "$bin" quantize $model "$dir/a.gguf" --type q3
expect 1 "cannot open" "$bin" quantize "$dir/none" "$dir/a.gguf" --type q8
expect 1 "not a gguf" "$bin" quantize $model "$dir/a.gguf" --type q8 --imatrix "$0"
expect 1 "not an importance matrix" "$bin" quantize $model "$dir/a.gguf" --type q8 --imatrix $model
expect 1 "cannot write" "$bin" quantize $model "$dir/none/a.gguf" --type q8
expect 2 "target-bits" "$bin" quantize $model "$dir/a.gguf" --type mixed --target-bits 4
expect 2 "go with type mixed" "$bin" quantize $model "$dir/a.gguf" --type q8 --target-bits 6
expect 2 "wanted -o FILE" "$bin" calibrate
expect 1 "cannot open" "$bin" calibrate $model --text "$dir/none" -o "$dir/i.gguf"
expect 2 "reference" "$bin" eval $model
expect 2 "must be one of f32 f16 q8_0" "$bin" eval $model --reference $model --cache q5
ls "$dir" | grep -q gguf && fail "files were left behind: $(ls "$dir")"

works() {
    "$@" >"$dir/out" 2>&1 </dev/null || fail "$*: $(cat "$dir/out")"
}

works "$bin" calibrate $model --text tests/cases/calibrate.txt --threads 1 -o "$dir/i.imatrix"
for type in q8 q4 mixed; do
    works "$bin" quantize $model "$dir/$type.gguf" --type $type --imatrix "$dir/i.imatrix"
    works "$bin" say "Yes." --model "$dir/$type.gguf" --threads 1 -o "$dir/$type.wav"
done
expect 0 "equalized, by factors up to .*what calibration saw" "$bin" quantize $model "$dir/t.gguf" \
    --type mixed --target-bits 6 --imatrix "$dir/i.imatrix"
expect 0 "language model: .* 5.9[0-9] bits a value" "$bin" quantize $model "$dir/t.gguf" --type mixed --target-bits 6
expect 0 "channels: as they are" "$bin" quantize $model "$dir/t.gguf" --type q8 --no-equalize
works "$bin" say "Yes." --model "$dir/t.gguf" --threads 1 -o "$dir/t.wav"
value() { # value FILE PATTERN: the number behind a pattern in a report
    sed -n "s/.*$2 \([0-9.einf]*\).*/\1/p" "$1" | head -n 1
}
for type in q8 q4; do
    "$bin" eval "$dir/$type.gguf" --reference $model --text tests/cases/calibrate.txt --threads 1 \
        >"$dir/$type.txt" || fail "eval of $type"
done
"$bin" eval $model --reference $model --text tests/cases/calibrate.txt --threads 1 \
    >"$dir/same.txt" || fail "eval of the original"
grep -q "slow: divergence 0.000000" "$dir/same.txt" && grep -q "codec: inf dB" "$dir/same.txt" ||
    fail "the original differs from itself: $(cat "$dir/same.txt")"
"$bin" eval $model --reference $model --text tests/cases/calibrate.txt --cache q8_0 --threads 1 \
    >"$dir/cache.txt" || fail "eval of a cache in 8 bits"
awk -v a="$(value "$dir/cache.txt" divergence)" -v b="$(value "$dir/q8.txt" divergence)" \
    'BEGIN { exit !(a > 0 && a < b) }' ||
    fail "a cache in 8 bits must cost something, less than q8: $(cat "$dir/cache.txt" "$dir/q8.txt")"
awk -v a="$(value "$dir/q8.txt" divergence)" -v b="$(value "$dir/q4.txt" divergence)" \
    'BEGIN { exit !(a > 0 && b > 4 * a && b < 0.5) }' ||
    fail "q4 must cost more than q8, and not everything: $(cat "$dir/q8.txt" "$dir/q4.txt")"
awk -v s="$(value "$dir/q8.txt" codec:)" 'BEGIN { exit !(s > 25 && s < 90) }' ||
    fail "codec in 8 bits: $(cat "$dir/q8.txt")"
exit $bad
