#!/bin/sh
# Model files from the command line: a checkpoint becomes one file that can be looked into, wrong use
# is told apart from failure, and an interrupt leaves nothing behind.
. tests/cli/begin

checkpoint=tests/golden/s1-odd/checkpoint
"$bin" convert $checkpoint -o "$dir/odd.gguf" --name odd --model-version 7 --type q8_0 2>"$dir/err" || fail "convert"
grep -q "odd.gguf, [0-9.]* kB" "$dir/err" || fail "convert says: $(cat "$dir/err")"
expect 0 "general.name *\"odd\"" "$bin" inspect "$dir/odd.gguf"
expect 0 "general.version *\"7\"" "$bin" inspect "$dir/odd.gguf"
expect 0 "^306 27 91 82 79 68 64 74 259 25 15 91 29 7 39 72 8 262 259 68 13$" \
    "$bin" text --stage prompt --model "$dir/odd.gguf" "(Hi) there."
alone=$("$bin" text --stage prompt "Hi.") # a voice's reference stands between the first token and the text
expect 0 "^${alone%% *} .* ${alone#* }$" "$bin" text --stage prompt --voice alloy "Hi."
expect 1 "there is no voice" "$bin" text --stage prompt --voice no-such-voice "Hi."
expect 0 "multiply-adds slow" "$bin" inspect "$dir/odd.gguf"
expect 0 "\"memory_bytes\": [0-9]" "$bin" inspect --json --context 100 "$dir/odd.gguf"
# a checkpoint's voices, of which one says who it is, and one too much
mkdir "$dir/voiced" "$dir/voiced/voices"
ln -s "$PWD/$checkpoint"/* "$dir/voiced"
python3 - "$dir/voiced/voices" <<'EOF'
import json, sys
for name, about in ("ann", {"language": "de-AT", "description": "a girl"}), ("bob", {"description": "\033[2J"}):
    json.dump({"name": name, "text": "Hi.", "codes": [[1, 2]] * 4, **about}, open(f"{sys.argv[1]}/{name}.json", "w"))
EOF
expect 0 "" "$bin" convert "$dir/voiced" -o "$dir/voiced.gguf"
expect 0 "^ann *de-AT *built in *a girl" "$bin" voices --model "$dir/voiced.gguf"
expect 0 "^bob *- *built in *- " "$bin" voices --model "$dir/voiced.gguf"
expect 1 "the model's limit is 3000" "$bin" inspect --context 3001 "$dir/odd.gguf"
expect 1 "not a gguf" "$bin" inspect "$0"
expect 2 "wanted FILE" "$bin" inspect
expect 2 "one directory" "$bin" convert -o "$dir/x.gguf"
expect 2 "must be one of f32 f16" "$bin" convert $checkpoint -o "$dir/x.gguf" --type int3
expect 2 "must be one of s1-mini" "$bin" convert --random gpt -o "$dir/x.gguf"
expect 1 "config.json" "$bin" convert "$dir" -o "$dir/x.gguf"
expect 1 "cannot write" "$bin" convert $checkpoint -o "$dir/none/x.gguf"
expect 0 "first_audio_known_reference_s" "$bin" bench --threads 1
expect 0 "\"peak_memory_mb\": [0-9]" "$bin" bench --threads 1 --json
expect 0 "\"expected_rtf\": [0-9]" "$bin" bench --threads 1 --json
expect 2 "unexpected argument" "$bin" bench a.gguf b.gguf

# Damage that would be silent nonsense: a weight that is no number, in a checkpoint, and a
# configuration of another shape.
cp -r $checkpoint "$dir/nan"
chmod -R u+w "$dir/nan"
python3 - "$dir" <<'END'
import sys, zipfile
dir = sys.argv[1]
source = zipfile.ZipFile(dir + "/nan/model.pth")
parts = [(i, source.read(i)) for i in source.infolist()]
with zipfile.ZipFile(dir + "/nan/model.tmp", "w", zipfile.ZIP_STORED) as out:
    for i, data in parts:
        if "/data/" in i.filename:  # the first value of each tensor, four bytes of NaN
            data = b"\xff" * min(4, len(data)) + data[4:]
        out.writestr(i, data)
END
mv "$dir/nan/model.tmp" "$dir/nan/model.pth"
expect 1 "not finite" "$bin" convert "$dir/nan" -o "$dir/x.gguf"
cp $checkpoint/model.pth "$dir/nan/model.pth"
echo "- a list" >"$dir/nan/modded_dac_vq.yaml"
expect 1 "not names with values" "$bin" convert "$dir/nan" -o "$dir/x.gguf"
printf 'sample_rate: fast\n' >"$dir/nan/modded_dac_vq.yaml"
expect 1 "sample_rate is -1" "$bin" convert "$dir/nan" -o "$dir/x.gguf"

# The same in a model file: found when it is loaded, or by what comes out of it.
damaged() { # damaged MESSAGE TENSOR HOW [I]: it is said, and nothing is written
    message=$1
    shift
    python3 tests/faults/damage.py "$tiny" "$dir/damaged.gguf" "$@"
    rm -f "$dir/x.wav"
    expect 1 "$message" timeout 60 "$bin" say --quiet "A zoo." --model "$dir/damaged.gguf" -o "$dir/x.wav"
    [ -e "$dir/x.wav" ] && fail "$*: there is a file"
}
for tiny in models/jabber-tiny.gguf "$dir/q8.gguf"; do
    [ -e "$tiny" ] || "$bin" quantize models/jabber-tiny.gguf "$tiny" --type q8 2>/dev/null || fail "quantize"
    for tensor in fast.output fast.token_embd output_norm blk.2.ffn_norm blk.1.ffn_down \
        codec.rvq.0.codebook codec.dec.conv_in codec.dec.1.up codec.up.0.dw; do
        damaged "damaged.gguf: $tensor.weight holds values that are not finite" $tensor.weight nan 7
    done
    damaged "codec.dec.0.snake.alpha holds values that are not finite" codec.dec.0.snake.alpha nan
    damaged "the model \"damaged\" gave numbers that are not finite" output_norm.weight huge
    damaged "the model \"damaged\" gave numbers that are not finite" fast.output_norm.weight huge
done
tiny=models/jabber-tiny.gguf
damaged "the model \"damaged\" gave numbers that are not finite" codec.dec.conv_in.bias huge
damaged "the model \"damaged\" gave numbers that are not finite" codec.rvq.3.codebook.weight huge

"$bin" convert --random s1-mini -o "$dir/random.gguf" 2>/dev/null &
pid=$!
sleep 1
kill -INT $pid
wait $pid
[ $? = 130 ] || fail "an interrupt must end with exit code 130"
ls "$dir" | grep -q -e random -e tmp- && fail "an interrupt leaves $(ls "$dir") behind"
exit $bad
