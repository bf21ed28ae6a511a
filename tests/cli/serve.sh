#!/bin/sh
# serve --background returns when the server answers, says how to end it, and fails where it cannot serve.
. tests/cli/begin

answers() {
    python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + "/health")' "$1"
}

"$bin" serve --background --port 0 >"$dir/out" 2>&1 || fail "exit code $?: $(cat "$dir/out")"
pid=$(sed -n 's/.*it ends with: kill \([0-9]*\)$/\1/p' "$dir/out")
url=$(sed -n 's/.* at \(http:.*\)\/v1$/\1/p' "$dir/out")
[ -n "$pid" ] && [ -n "$url" ] || fail "it says: $(cat "$dir/out")"
answers "$url" || fail "it does not answer at once"
"$bin" serve --background --port "${url##*:}" >"$dir/out" 2>&1
[ $? = 1 ] && grep -q "${url##*:}" "$dir/out" || fail "a port in use: $(cat "$dir/out")"
kill "$pid"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    answers "$url" 2>/dev/null || break
    sleep 0.2
done
answers "$url" 2>/dev/null && fail "it did not end"
grep -q stopping "$dir/state/jabbertts/serve.log" || fail "log: $(cat "$dir/state/jabbertts/serve.log")"

# The sandbox lets it make its voice directory, parents too; a user who cannot write there is told so.
timeout 20 "$bin" serve --background --port 0 --voice-dir "$dir/a/b/c" >"$dir/out" 2>&1 || fail "parents: $(cat "$dir/out")"
pid=$(sed -n 's/.*it ends with: kill \([0-9]*\)$/\1/p' "$dir/out")
[ -n "$pid" ] && kill "$pid"
[ -d "$dir/a/b/c" ] || fail "no voice directory was made"
if [ "$(id -u)" = 0 ]; then
    chmod 755 "$dir"
    timeout 20 "$bin" serve --port 0 --user nobody --voice-dir "$dir/mine" >"$dir/out" 2>&1
    [ $? = 1 ] && grep -q "cannot be written to by nobody.*chown" "$dir/out" || fail "another's directory: $(cat "$dir/out")"
fi
exit $bad
