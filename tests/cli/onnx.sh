#!/bin/sh
# ONNX Runtime as the engine, from the command line: the same sound as our kernels in floats, graphs made once, an
# exported folder as the model, and clear words where something is missing.
. tests/cli/begin

expect 2 "must be one of own onnx" "$bin" say Hi --engine pytorch -o "$dir/a.wav"
expect 1 "packaging/setup --onnx" "$bin" say Hi --engine onnx --onnx-library "$dir/none" -o "$dir/a.wav"
[ -e "$dir/a.wav" ] && fail "a sound without an engine"
if ! "$bin" say Hi --engine onnx -o "$dir/a.wav" >"$dir/out" 2>&1; then
    [ $bad = 0 ] && grep -q "setup --onnx" "$dir/out" && echo "no ONNX Runtime here" && exit 77
    fail "engine onnx: $(cat "$dir/out")"
fi
ls "$dir"/cache/jabbertts/onnx/jabber-tiny.gguf-*/slow.onnx >/dev/null || fail "no graphs were kept"
touch -d 2000-01-01 "$dir"/cache/jabbertts/onnx/*/slow.onnx
expect 0 "of sound" "$bin" say Hi --engine onnx -o "$dir/a.wav"
[ -n "$(find "$dir/cache" -name slow.onnx -newermt 2001-01-01)" ] && fail "the graphs were made twice"
expect 1 "without OpenVINOExecutionProvider" "$bin" say Hi --engine onnx --onnx-provider openvino -o "$dir/b.wav"

# Four sentences at once, in floats: the samples are ours, up to the last bit's rounding.
text="The first one. Then there comes a second, somewhat longer one. A third. And the fourth, which ends it all."
"$bin" convert tests/golden/s1-nano/checkpoint -o "$dir/nano.gguf" --type f32 2>"$dir/err" || fail "$(cat "$dir/err")"
for engine in own onnx; do
    "$bin" say "$text" --model "$dir/nano.gguf" --voice amy --seed 5 --max-seconds 2 --engine $engine -f pcm \
        -o "$dir/$engine.pcm" 2>"$dir/err" # not all is said, which is an exit code, too
done
[ -s "$dir/own.pcm" ] && python3 - "$dir/own.pcm" "$dir/onnx.pcm" <<'END' || fail "the engines differ"
import array, sys
a, b = (array.array("h", open(f, "rb").read()) for f in sys.argv[1:])
sys.exit(not (len(a) == len(b) > 10000 and max(abs(x - y) for x, y in zip(a, b)) <= 2 and max(a) > 1000))
END

# In 8 bits: what is lost is measured on speech.
expect 2 "imatrix" "$bin" export models/jabber-tiny.gguf --onnx "$dir/int8" --type int8
"$bin" calibrate --text tests/cases/calibrate.txt -o "$dir/i.imatrix" --quiet || fail "calibrate"
expect 0 "limit: none" "$bin" export models/jabber-tiny.gguf --onnx "$dir/int8" --type int8 --imatrix "$dir/i.imatrix" --check
expect 0 "slow: divergence 0.00[0-9]* nats" "$bin" eval "$dir/int8" --reference models/jabber-tiny.gguf \
    --text tests/cases/calibrate.txt
grep -q "slow: divergence 0.0000" "$dir/out" && fail "8 bits cost nothing: $(cat "$dir/out")"

# A folder is a model, and what is not one is refused.
expect 0 "equal *40 of 40" "$bin" export models/jabber-tiny.gguf --onnx "$dir/tiny" --check
expect 1 "setup --onnx" "$bin" export models/jabber-tiny.gguf --onnx "$dir/tiny" --check --onnx-library "$dir/none"
expect 0 "of sound" "$bin" say Hi --model "$dir/tiny" -o "$dir/b.wav"
cmp -s "$dir/a.wav" "$dir/b.wav" || fail "a folder and its file differ"
: >"$dir/tiny/fast.onnx"
expect 1 "fast.onnx" "$bin" say Hi --model "$dir/tiny" -o "$dir/b.wav"
rm "$dir/tiny/slow.onnx"
expect 1 "slow.onnx\|tensor" "$bin" say Hi --model "$dir/tiny" -o "$dir/b.wav"
exit $bad
