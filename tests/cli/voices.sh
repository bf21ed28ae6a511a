#!/bin/sh
# Users' voices from the command line: added, listed, shown, spoken with, exported, deleted, imported.
set -u
bin=${BUILD:-build}/jabbertts
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
export XDG_CONFIG_HOME="$dir" XDG_DATA_HOME="$dir/data"
bad=0

expect() { # expect CODE TEXT COMMAND...
    code=$1 text=$2
    shift 2
    "$@" >"$dir/out" 2>&1 </dev/null
    got=$?
    [ $got = "$code" ] && { [ -z "$text" ] || grep -q -e "$text" "$dir/out"; } ||
        { echo "FAIL: $*: exit code $got, wanted $code; said \"$(cat "$dir/out")\", wanted \"$text\""; bad=1; }
}
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
expect 2 "already" voices add me "$dir/clip.mp3"
expect 2 "letters" voices add ../me "$dir/clip.mp3"
expect 2 "the model has" voices add alloy "$dir/clip.mp3"
expect 1 "not a sound file" voices add you "$0"
expect 1 "cannot read" voices add you "$dir/none.wav"
expect 1 "not JSON" voices import "$dir/clip.mp3"
expect 2 "takes 2 arguments" voices add you
expect 2 "there is no" voices sing
exit $bad
