#!/bin/sh
# tests/python.sh - builds the wheel, installs it into an environment of its own, and runs its tests there.
# Needs the network for numpy, pytest and what builds wheels; exits 77 without it.
set -e
cd "$(dirname "$0")/.."
dir=${BUILD:-build}/python
[ -x "$dir/bin/pytest" ] || {
    python3 -m venv --clear "$dir"
    "$dir/bin/pip" install -q --disable-pip-version-check numpy pytest setuptools wheel || {
        rm -rf "$dir"
        echo "skipped: the packages cannot be fetched"
        exit 77
    }
}
rm -rf "$dir/dist" "$dir/source"
cp -R python "$dir/source"
JABBERTTS_SOURCE=$PWD "$dir/bin/pip" wheel -q "$dir/source" --no-deps --no-build-isolation -w "$dir/dist"
"$dir/bin/pip" install -q --no-deps --force-reinstall "$dir"/dist/jabbertts-*.whl
"$dir/bin/pytest" -q -p no:cacheprovider "$dir/source/tests"
