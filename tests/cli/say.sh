#!/bin/sh
# The command line as a user meets it: sound comes out, the same for every thread count and for files
# and pipes; wrong use says so with exit code 2, failures with 1, and no half file is left behind.
. tests/cli/begin

expect 0 "usage" "$bin" --help
expect 2 "usage" "$bin"
expect 2 "no command \"sya\"; did you mean say?" "$bin" sya
expect 0 "jabbertts" "$bin" version
expect 0 "^amy .*built in .*default .*alloy" "$bin" voices
expect 2 "must be a number" "$bin" say hi --temperature warm
expect 2 "must be a whole number" "$bin" say hi --threads 1.5
expect 2 "no voice" "$bin" say hi --voice nobody
expect 2 "nothing to say" "$bin" say "" -o "$dir/x.wav"
expect 1 "cannot open" "$bin" say hi --model "$dir/none.gguf"
expect 1 "not a gguf" "$bin" say hi --model "$0"
expect 1 "cannot write" "$bin" say hi -o "$dir/none/x.wav"
expect 1 "cannot open" "$bin" say hi --voice "$dir/none.wav" --voice-text hi
expect 2 "goes with --voice FILE" "$bin" say hi --voice-text hi
expect 2 "there is no option --sing" "$bin" say hi --sing
expect 1 "not finished" "$bin" say "A long sentence that cannot be said so fast." --max-seconds 0.5 -o "$dir/cut.wav"
expect 1 "cannot write /dev/full: No space left" "$bin" say hi -o /dev/full

expect 1 "line 1, column 11" "$bin" say "<speak>Bad" -o "$dir/x.wav"
expect 0 "mark \"m\" at 0.500 s" "$bin" say --model espeak-ng \
    "<speak><break time='500ms'/><mark name='m'/>Now.</speak>" -o "$dir/mark.wav"
expect 0 "one thousand dogs" "$bin" text --stage sentences \
    "<speak><say-as interpret-as='cardinal'>1000</say-as> dogs.</speak>"
expect 0 "təˈmɑːtəʊ" "$bin" text --stage phonemes "<speak>Say <phoneme ph='təˈmɑːtəʊ'>x</phoneme>.</speak>"
expect 0 "три собаки" "$bin" text --stage sentences "I have 3 dogs. У меня 3 собаки."
printf 'nginx = engine ex\nbad line\n' >"$dir/lexicon"
expect 1 "line 2: there is no =" "$bin" say hi --lexicon "$dir/lexicon" -o "$dir/x.wav"
printf 'nginx = engine ex\nBob = /bɑb/\n' >"$dir/lexicon"
expect 0 "1 words were read by their letters" "$bin" say "nginx, Bob." --model espeak-ng \
    --lexicon "$dir/lexicon" -o "$dir/x.wav"

(printf 'One is here. Tw'; sleep 0.5; printf 'o is not. Three') | "$bin" say - -o "$dir/live.wav" ||
    fail "text that is being written is not spoken"
printf 'One is here. Two is not. Three' | "$bin" say - -o "$dir/once.wav" 2>"$dir/err" || fail "say - failed"
cmp "$dir/live.wav" "$dir/once.wav" || fail "the same text in pieces gives another sound"
expect 2 "has no --captions" "$bin" say - --captions "$dir/x.srt"
expect 2 "nothing to say" "$bin" say - -o "$dir/x.wav"
expect 2 "must be .srt, .vtt or .json" "$bin" say hi --captions "$dir/x.txt"
expect 1 "cannot write $dir/none/x.srt" "$bin" say hi -o "$dir/x.wav" --captions "$dir/none/x.srt"
for e in srt vtt json; do
    expect 0 "" "$bin" say "It costs \$5. <b>Cheap</b>, she said." -o "$dir/x.wav" --captions "$dir/x.$e"
done
grep -q '^00:00:00,050 --> 00:00:0' "$dir/x.srt" || fail "x.srt has no first time: $(cat "$dir/x.srt")"
grep -q '^It <00:00:00\.[0-9]*>costs <00:00:0[0-9.]*>\$5\.' "$dir/x.vtt" || fail "x.vtt: $(cat "$dir/x.vtt")"
grep -q '"word": "\$5"' "$dir/x.json" || fail "x.json: $(cat "$dir/x.json")"
grep -q '"char_start": 16' "$dir/x.json" || fail "x.json has no place of <b>Cheap: $(cat "$dir/x.json")"

for t in 1 2 3; do
    "$bin" say "Good morning. It is a fine day." --threads $t -o "$dir/$t.wav" 2>"$dir/err" ||
        fail "say with $t threads: $(cat "$dir/err")"
    cmp "$dir/1.wav" "$dir/$t.wav" || fail "$t threads give another sound"
done
mkdir "$dir/prefixes"
for i in 1 2; do # computed and kept, then read
    "$bin" say "Good morning. It is a fine day." --prefix-dir "$dir/prefixes" -o "$dir/kept.wav" ||
        fail "say with a prefix directory"
    cmp "$dir/1.wav" "$dir/kept.wav" || fail "a kept prefix gives another sound"
done
[ "$(ls "$dir/prefixes" | wc -l)" = 1 ] || fail "prefixes kept: $(ls "$dir/prefixes")"
expect 1 "prefix directory" "$bin" say hi --prefix-dir "$dir/none" -o "$dir/x.wav"
echo "Good morning. It is a fine day." | "$bin" say -o - -f pcm >"$dir/pipe.pcm" ||
    fail "text from a pipe, sound to a pipe"
tail -c +45 "$dir/1.wav" | cmp - "$dir/pipe.pcm" || fail "a pipe gives another sound than a file"
"$bin" say "Good morning. It is a fine day." -o - >"$dir/redirected.wav" || fail "sound to standard output"
cmp "$dir/1.wav" "$dir/redirected.wav" || fail "standard output in a file gives another file than -o"
(cd "$dir" && "$bin" say "Good morning. It is a fine day." >here.wav 2>err) && [ ! -e "$dir/speech.wav" ] ||
    fail "say TEXT > file writes elsewhere: $(cat "$dir/err")"
cmp "$dir/1.wav" "$dir/here.wav" || fail "say TEXT > file gives another file than -o"
(cd "$dir" && "$bin" say "Hello." >log 2>&1 && [ -s speech.wav ] && ! grep -q RIFF log) || fail "sound went into a log"
expect 0 "" "$bin" say "- a text, no option" -o "$dir/dash.wav"
expect 0 "" "$bin" say -o "$dir/dash.wav" -- -5
"$bin" say "Good morning. It is a fine day." -o - | cat >"$dir/piped.wav"
tail -c +45 "$dir/1.wav" >"$dir/1.pcm"
tail -c +45 "$dir/piped.wav" | cmp - "$dir/1.pcm" || fail "a pipe gives another sound than a file"
expect 0 "has no transcript (--voice-text)" "$bin" say hi --voice "$dir/1.wav" -o "$dir/x.wav"
expect 0 "/h.wav, [0-9.]* s of sound in [0-9.]* s$" "$bin" say "Hello." -o "$dir/h.wav"
expect 0 "seed 7" "$bin" say "Hello." --seed 7 -o "$dir/h.wav"
"$bin" say "Hello." --quiet -o "$dir/h.wav" >"$dir/out" 2>&1
[ -s "$dir/out" ] && fail "--quiet says: $(cat "$dir/out")"
expect 2 "names no format" "$bin" say hi -o "$dir/x.xyz"
expect 1 "it is a directory" "$bin" say -i "$dir"
# the loudspeaker: one that takes everything, and none at all
printf 'default_driver=null\n' >"$dir/.libao"
HOME=$dir expect 0 "played, [0-9.]* s of sound" "$bin" say "Hello." --play
printf 'default_driver=oss\ndev=%s/none\n' "$dir" >"$dir/.libao"
HOME=$dir expect 1 "cannot open the sound device" "$bin" say "Hello." --play
for f in mp3 opus ogg oga aac m4a mp4 flac; do
    "$bin" say "Hello." -o "$dir/h.$f" && [ -s "$dir/h.$f" ] || fail "$f"
done
"$bin" say "Hello." --voice "$dir/1.wav" --voice-text "Good morning. It is a fine day." \
    -o "$dir/clone.wav" || fail "a voice from a clip"

# letters that the voice does not read
expect 0 "does not read; try --fallback, or --model espeak-ng --voice ru" \
    "$bin" say "Hello. Доброе утро." -o "$dir/warned.wav"
"$bin" say "Hello. Доброе утро." --fallback -o "$dir/fallback.wav" 2>"$dir/out"
grep -q warning "$dir/out" && fail "--fallback warns: $(cat "$dir/out")"
cmp -s "$dir/warned.wav" "$dir/fallback.wav" && fail "--fallback changes nothing"
"$bin" say -i README.md -o "$dir/long.wav" &
pid=$!
sleep 1
kill -INT $pid
wait $pid
[ $? = 130 ] || fail "an interrupt must end with exit code 130"
ls "$dir" | grep -q -e tmp- -e long && fail "an interrupt leaves $(ls "$dir") behind"
exit $bad
