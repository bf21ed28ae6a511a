#!/bin/sh
# The model in PyTorch, which is the measure of bench/engines, computes what the original does.
set -u
bin=${BUILD:-build}/jabbertts
python=build/torch/bin/python
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
bad=0
"$python" -c "import torch, numpy" 2>/dev/null || {
    echo "skip: no PyTorch in build/torch (packaging/setup --torch)"
    exit 77
}
for set in s1-nano s1-odd s1-one; do
    "$bin" convert tests/golden/$set/checkpoint -o "$dir/$set.gguf" --type f32 --quiet || bad=1
    "$python" tests/torch/s1.py check "$dir/$set.gguf" tests/golden/$set >"$dir/out" 2>&1 || {
        echo "FAIL: $set: $(tail -1 "$dir/out")"
        bad=1
    }
done
exit $bad
