#!/bin/sh
# Export from the command line: a whole folder or an error, nothing half-written.  What the graphs compute is
# tests/clients/onnx_graphs.py's to check.
. tests/cli/begin

expect 2 "wanted MODEL.gguf" "$bin" export
expect 2 "wanted --onnx DIR" "$bin" export $model
expect 2 "must be one of f32 f16" "$bin" export $model --onnx "$dir/a" --type q3
expect 1 "cannot open" "$bin" export "$dir/none" --onnx "$dir/a"
expect 1 "cannot make the directory" "$bin" export $model --onnx "$dir/none/a"
expect 1 "cannot make the directory\|cannot write" "$bin" export $model --onnx "$dir/err/a"

# A tensor that is not there: an error that names it, and no graph of it.
sed 's/output_norm\.weight/output_nurm.weight/' $model >"$dir/broken.gguf"
expect 1 "output_norm.weight is missing" "$bin" export "$dir/broken.gguf" --onnx "$dir/broken"
ls "$dir/broken" | grep -q "slow\|tmp\|model.gguf" && fail "left behind: $(ls "$dir/broken")"

expect 0 "wrote" "$bin" export $model --onnx "$dir/onnx"
for f in slow fast decoder encoder; do
    [ -s "$dir/onnx/$f.onnx" ] && [ -s "$dir/onnx/$f.onnx.data" ] || fail "$f is missing"
done
[ "$(ls "$dir/onnx" | wc -l)" = 9 ] || fail "more or less than 9 files: $(ls "$dir/onnx")"
expect 0 "jabber" "$bin" inspect "$dir/onnx/model.gguf"
cp -r "$dir/onnx" "$dir/first"
expect 0 "wrote" "$bin" export $model --onnx "$dir/onnx"
diff -r "$dir/onnx" "$dir/first" >/dev/null || fail "two exports differ"
exit $bad
