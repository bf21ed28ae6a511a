#!/bin/sh
# Users' voices from the command line: added, listed, shown, spoken with, exported, deleted, imported.
. tests/cli/begin

voices() { # voices VERB ARGUMENT...: in a store of our own
    "$bin" voices "$@" --voice-dir "$dir/store"
}

"$bin" say "This is somebody who speaks for a while. So that one hears the voice." -o "$dir/clip.mp3" ||
    { echo "FAIL: no clip"; exit 1; }
expect 0 "amy" voices list
[ ! -e "$dir/store" ] || { echo "FAIL: listing makes a store"; bad=1; }
expect 0 "me voice_" voices add me "$dir/clip.mp3" --text "This is somebody." --language en
expect 0 "^me  *en  *yours" voices
expect 0 "kind *built in" voices show alloy
expect 0 "description *a woman, clear" voices show alloy
expect 0 "^bella *en-US *built in *a woman, clear, higher *coral" voices
expect 0 "transcript  *This is somebody" voices show me
expect 0 "" "$bin" say "Good morning." --voice me --voice-dir "$dir/store" -o "$dir/me.wav"
expect 0 "" voices export me "$dir/me.json"
expect 0 "" voices rm me
expect 1 "no voice" voices show me
expect 2 "no voice" "$bin" say hi --voice me --voice-dir "$dir/store" -o "$dir/no.wav"
expect 0 "voice_" voices import "$dir/me.json"
expect 0 "" "$bin" say "Good morning." --voice me --voice-dir "$dir/store" -o "$dir/again.wav"
cmp "$dir/me.wav" "$dir/again.wav" || { echo "FAIL: another sound after export and import"; bad=1; }
# Several recordings: a folder with transcripts beside them, options in order, limits.
mkdir "$dir/many"
cp "$dir/clip.mp3" "$dir/many/a.mp3"
cp "$dir/clip.mp3" "$dir/many/b.mp3"
echo " This is somebody. " >"$dir/many/a.lab"
printf 'Who speaks for a while.\r\n' >"$dir/many/b.txt"
say() { # say FILE OPTION...
    expect 0 "" "$bin" say "Good morning." "$@" -o "$dir/$n.wav"
}
n=folder say --voice "$dir/many"
n=files say --reference "$dir/many/a.mp3" --reference "$dir/many/b.mp3"
n=texts say --voice "$dir/many/a.mp3" --reference "$dir/many/b.mp3" \
    --voice-text "This is somebody." --voice-text "Who speaks for a while."
n=single say --voice "$dir/many/a.mp3"
for n in files texts; do
    cmp "$dir/folder.wav" "$dir/$n.wav" || { echo "FAIL: $n: another sound than the folder's"; bad=1; }
done
cmp -s "$dir/folder.wav" "$dir/single.wav" && { echo "FAIL: one recording sounds like two"; bad=1; }
expect 0 "$dir/clip.mp3 has no transcript" "$bin" say Hi --voice "$dir/clip.mp3" -o "$dir/x.wav"
expect 0 "many voice_" voices add many "$dir/many" --reference "$dir/clip.mp3" --language en
expect 0 "^recordings  *3, " voices show many
expect 0 "Who speaks for a while" voices show many
expect 0 "" voices rm many
expect 2 "2 transcripts for 1 rec" voices add x "$dir/clip.mp3" --text a --text b
expect 2 "goes without" "$bin" say Hi --voice amy --reference "$dir/clip.mp3" -o "$dir/x.wav"
for i in 1 2 3 4 5 6 7; do cp "$dir/clip.mp3" "$dir/many/c$i.mp3"; done
expect 2 "more than 8" voices add x "$dir/many"
mkdir "$dir/none"
expect 1 "no recordings in" voices add x "$dir/none"
expect 2 "already" voices add me "$dir/clip.mp3"
expect 2 "letters" voices add ../me "$dir/clip.mp3"
expect 2 "the model has" voices add alloy "$dir/clip.mp3"
expect 1 "not a sound file" voices add you "$0"
expect 1 "cannot read" voices add you "$dir/none.wav"
expect 1 "not JSON" voices import "$dir/clip.mp3"
expect 2 "takes 2 arguments" voices add you
expect 2 "there is no" voices sing
exit $bad
