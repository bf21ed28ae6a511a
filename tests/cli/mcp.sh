#!/bin/sh
# jabbertts mcp: the Model Context Protocol's messages, the sound in an answer, and what is refused.
. tests/cli/begin

cat >"$dir/in" <<'EOF'
{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":"two","method":"tools/list"}
{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"speak","arguments":{"text":"Hello there.","play":false}}}
{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"speak","arguments":{"text":"Hello.","voice":"nobody","play":false}}}
{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"speak","arguments":{"play":false}}}
{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"sing","arguments":{}}}
{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"list_voices"}}
{"jsonrpc":"2.0","id":8,"method":"resources/list"}
{"jsonrpc":"2.0","id":9,"method":"ping"}
nonsense
{"jsonrpc":"2.0","id":10,"method":"tools/call","params":{"name":"speak","arguments":{"text":"x","speed":9}}}
EOF
HOME=$dir XDG_DATA_HOME=$dir "$bin" mcp <"$dir/in" >"$dir/out" 2>"$dir/err" || fail "exit code $?: $(cat "$dir/err")"
python3 - "$dir/out" <<'EOF' || fail "answers: $(cut -c1-300 "$dir/out")"
import base64, json, sys
a = [json.loads(line) for line in open(sys.argv[1])]
by = {x["id"]: x for x in a}
assert len(a) == 11 and all(x["jsonrpc"] == "2.0" for x in a), [x["id"] for x in a]
assert by[1]["result"]["protocolVersion"] == "2024-11-05" and "tools" in by[1]["result"]["capabilities"]
tools = by["two"]["result"]["tools"]
assert [t["name"] for t in tools] == ["speak", "list_voices"] and tools[0]["inputSchema"]["required"] == ["text"]
sound = by[3]["result"]["content"][0]
assert sound["type"] == "audio" and sound["mimeType"] == "audio/mpeg" and len(base64.b64decode(sound["data"])) > 2000
assert by[4]["result"]["isError"] and "nobody" in by[4]["result"]["content"][0]["text"]
assert by[5]["result"]["isError"] and by[10]["result"]["isError"]
assert by[6]["error"]["code"] == -32602 and by[8]["error"]["code"] == -32601 and by[None]["error"]["code"] == -32700
assert "bella" in by[7]["result"]["content"][0]["text"] and by[9]["result"] == {}
EOF
head -c 1200000 /dev/zero | tr '\0' x | "$bin" mcp >"$dir/out" 2>"$dir/err" && fail "a message without an end is taken"
grep -q -- -32700 "$dir/out" || fail "and not answered: $(cat "$dir/out")"
exit $bad
