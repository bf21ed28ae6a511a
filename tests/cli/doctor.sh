#!/bin/sh
# doctor: nothing to find on a machine that works; a port that is taken and a broken model are found.
. tests/cli/begin

"$bin" doctor --port 0 >"$dir/out" || fail "doctor: $(cat "$dir/out")"
grep -q "^[a-zA-Z]* *processor .*, [0-9]* cores; now [1-9][0-9]* billion products of bytes and [0-9.]* GB" "$dir/out" ||
    fail "doctor measures nothing: $(cat "$dir/out")"
grep -q "^[a-z]* *voice .*takes [0-9.]* s for a second of sound" "$dir/out" || fail "no speed of the voice"
grep -q "^[a-z]* *types .*q4 [0-9.]* s and 1.3 GB, mixed [0-9.]* s and 1.5 GB, q8 .* f16 " "$dir/out" || fail "no types: $(cat "$dir/out")"
for what in processor memory model_dir voice_dir formats espeak-ng port; do
    grep -q "^[a-z]* *$what " "$dir/out" || fail "doctor says nothing of $what"
done
"$bin" doctor --port 0 --json | python3 -c 'import json, sys; assert len(json.load(sys.stdin)) >= 7' || fail "doctor --json"

"$bin" pull models/jabber-tiny.gguf --name small --quiet || fail "pull of a file"
"$bin" doctor --port 0 | grep -q "^ok *model *small" || fail "doctor of a model"
: >"$("$bin" models path small)"
"$bin" doctor --port 0 >"$dir/out" && fail "doctor of a broken model"
grep -q "^BAD *model .*jabbertts models rm small" "$dir/out" || fail "a broken model: $(cat "$dir/out")"
"$bin" doctor --port 0 --host "unix:$dir/s" | grep -q "^ok *port .*unix:$dir/s is free" || fail "a socket as port"
[ -e "$dir/s" ] && fail "doctor leaves its socket"
"$bin" models rm small --quiet || fail "models rm"

python3 -c 'import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True); time.sleep(60)' >"$dir/port" &
pid=$!
while [ ! -s "$dir/port" ]; do sleep 0.1; done
"$bin" doctor --port "$(cat "$dir/port")" >"$dir/out" && fail "doctor of a port that is taken"
grep -q "^BAD *port .*--port" "$dir/out" || fail "a port that is taken: $(cat "$dir/out")"
exit $bad
