#!/bin/sh
# tests/python.sh [ray] - builds the wheel, installs it into an environment of its own, and runs its tests there; with
# "ray", the tests of jabbertts.ray on two nodes of Ray's own.  Needs the network for numpy, pytest, what builds wheels,
# and Ray; exits 77 without it.
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
if [ "${1:-}" = ray ]; then
    "$dir/bin/pip" install -q --disable-pip-version-check "ray[data]<2.64" fsspec || {
        echo "skipped: Ray cannot be fetched, or not for this Python"
        exit 77
    }
fi
rm -rf "$dir/dist" "$dir/source"
cp -R python "$dir/source"
JABBERTTS_SOURCE=$PWD "$dir/bin/pip" wheel -q "$dir/source" --no-deps --no-build-isolation -w "$dir/dist"
"$dir/bin/pip" install -q --no-deps --force-reinstall "$dir"/dist/jabbertts-*.whl
export RAY_USAGE_STATS_ENABLED=0
"$dir/bin/pytest" -q -W ignore::DeprecationWarning -p no:cacheprovider "$dir/source/tests/test_${1:-jabbertts}.py"
