#!/bin/sh
# jabbertts batch: JSON, CSV and a directory become sounds, the same that say makes; it goes on after
# kill -9; it writes over nothing; what fails can be run again.
. tests/cli/begin

same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }

cat >"$dir/a.jsonl" <<'END'
{"id": "one", "text": "Good morning.", "seed": 3}
{"custom_id": "two/2", "method": "POST", "url": "/v1/audio/speech", "body": {"input": "Good night.", "response_format": "mp3", "speed": 1.25}}

{"text": "No name."}
END
expect 0 "3 spoken" "$bin" batch "$dir/a.jsonl" -o "$dir/a" --jobs 2
"$bin" say "Good morning." --seed 3 -o "$dir/one.wav" 2>/dev/null
same "$dir/a/one.wav" "$dir/one.wav"
"$bin" say "Good night." --speed 1.25 -o "$dir/two.mp3" 2>/dev/null
same "$dir/a/two_2.mp3" "$dir/two.mp3"
[ -s "$dir/a/000003.wav" ] || fail "a line without a name has none"
expect 0 "0 spoken .*3 there before" "$bin" batch "$dir/a.jsonl" -o "$dir/a"
sed 's/morning/evening/' "$dir/a.jsonl" >"$dir/b.jsonl"
expect 1 "one.wav is there, and was made of something else" "$bin" batch "$dir/b.jsonl" -o "$dir/a"
same "$dir/a/one.wav" "$dir/one.wav"

printf 'id,text,voice,seed\r\nq,"Say ""yes"", please.\nTwo lines.",amy,3\r\nr,Plain.,,\r\n' >"$dir/c.csv"
expect 0 "2 spoken" "$bin" batch "$dir/c.csv" -o "$dir/c" --format flac
"$bin" say 'Say "yes", please.
Two lines.' --voice amy --seed 3 -o "$dir/q.flac" 2>/dev/null
same "$dir/c/q.flac" "$dir/q.flac"
mkdir "$dir/texts"
echo "From a file." >"$dir/texts/x.txt"
echo "# Title" >"$dir/texts/y.md"
echo "no" >"$dir/texts/z.dat"
expect 0 "2 spoken" "$bin" batch "$dir/texts" -o "$dir/d"
[ "$(ls "$dir/d" | tr '\n' ' ')" = "batch.journal x.wav y.wav " ] || fail "a directory's sounds: $(ls "$dir/d")"

printf '{"id":"ok","text":"Yes."}\n{"id":"bad","text":"No.","voice":"nobody"}\n' >"$dir/e.jsonl"
expect 1 "1 spoken .*1 failed" "$bin" batch "$dir/e.jsonl" -o "$dir/e"
grep -q '"id":"bad"' "$dir/e/failed.jsonl" || fail "what failed"
sed -i 's/nobody/amy/' "$dir/e/failed.jsonl"
expect 0 "1 spoken" "$bin" batch "$dir/e/failed.jsonl" -o "$dir/e"
[ -e "$dir/e/failed.jsonl" ] || fail "its own input is removed"
sed -i 's/nobody/amy/' "$dir/e.jsonl"
expect 0 "2 there before" "$bin" batch "$dir/e.jsonl" -o "$dir/e"
[ ! -e "$dir/e/failed.jsonl" ] || fail "nothing fails any more, and failed.jsonl is there"
expect 1 "made of something else" "$bin" batch "$dir/e.jsonl" -o "$dir/e" --sample-rate 8000

for line in '{"id":"a","text":"x","sped":1}|there is no field "sped"' '{"text":"x","seed":-9}|seed' '{"id":"a"}|line 1: there is no text' \
    '[]|line 1: not a JSON object' '{"text":"x","speed":"fast"}|wrong type'; do
    echo "${line%%|*}" >"$dir/f.jsonl"
    "$bin" batch "$dir/f.jsonl" -o "$dir/f" >"$dir/out" 2>&1 && fail "taken: $line"
    grep -q "${line#*|}" "$dir/out" || fail "does not say: $line: $(cat "$dir/out")"
done
printf '{"id":"a b","text":"x"}\n{"id":"a_b","text":"y"}\n' >"$dir/f.jsonl"
expect 1 "lines 1 and 2 would both become a_b" "$bin" batch "$dir/f.jsonl" -o "$dir/f"
expect 2 "-o DIRECTORY" "$bin" batch "$dir/a.jsonl"

i=0
while [ $i -lt 12 ]; do
    echo "{\"id\": \"n$i\", \"text\": \"This is number $i, and it is spoken to its end, whatever happens.\"}"
    i=$((i + 1))
done >"$dir/g.jsonl"
"$bin" batch "$dir/g.jsonl" -o "$dir/whole" --threads 1 2>/dev/null || fail "the undisturbed run"
for pause in 0.3 0.6 0.9; do
    "$bin" batch "$dir/g.jsonl" -o "$dir/g" --threads 1 2>/dev/null &
    sleep $pause
    kill -9 $! 2>/dev/null
    wait $! 2>/dev/null
done
expect 0 "there before" "$bin" batch "$dir/g.jsonl" -o "$dir/g" --threads 1
for f in "$dir"/whole/*.wav; do same "$f" "$dir/g/${f##*/}"; done
[ "$(ls "$dir/g" | wc -l)" = 13 ] || fail "killed runs left something: $(ls "$dir/g")"
printf '0123' >>"$dir/g/batch.journal" # a line of which the power left half
rm "$dir/g/n3.wav"
expect 0 "1 spoken" "$bin" batch "$dir/g.jsonl" -o "$dir/g" --threads 1
expect 0 "12 there before" "$bin" batch "$dir/g.jsonl" -o "$dir/g" --threads 1

"$bin" batch "$dir/g.jsonl" -o "$dir/h" --threads 1 2>/dev/null &
first=$!
while [ ! -s "$dir/h/batch.journal" ] && kill -0 $first 2>/dev/null; do sleep 0.05; done
expect 1 "another jabbertts batch is at work" "$bin" batch "$dir/g.jsonl" -o "$dir/h" --threads 1
kill -INT $first
wait $first
[ $? = 130 ] || fail "interrupted: another exit code"
ls "$dir/h" | grep -q tmp && fail "an interrupted run left: $(ls "$dir/h")"
expect 0 "there before" "$bin" batch "$dir/g.jsonl" -o "$dir/h" --threads 1
exit $bad
