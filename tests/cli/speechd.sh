#!/bin/sh
# The command of packaging/speech-dispatcher, filled in as Speech Dispatcher's generic module does.
bin=$BUILD/jabbertts
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
export PULSE_RUNTIME_PATH="$dir/pulse"
conf=packaging/speech-dispatcher/jabbertts-generic.conf
command=$(sed -n '/^GenericExecuteSynth/{n;s/^"//;s/"$//;p}' "$conf" | sed -e "s|\\\\'|'|g" -e 's|\$DATA|Hello there.|' \
    -e 's|\$VOICE|bella|' -e 's|\$RATE|114|' -e "s|jabbertts say|$bin say|" -e "s|\$PLAY_COMMAND|cat >$dir/x.wav|")
HOME=$dir XDG_DATA_HOME=$dir sh -c "$command" 2>"$dir/err" || { cat "$dir/err"; exit 1; }
HOME=$dir XDG_DATA_HOME=$dir "$bin" say "Hello there." --voice bella --speed 1.14 -o "$dir/y.wav" 2>/dev/null
# Standard output has no length in its head.
tail -c +45 "$dir/x.wav" >"$dir/x"
tail -c +45 "$dir/y.wav" >"$dir/y"
cmp "$dir/x" "$dir/y" || { echo "FAIL: $command"; exit 1; }
for v in $(sed -n 's/^AddVoice .* "\([a-z]*\)"$/\1/p' "$conf"); do
    "$bin" say a --voice "$v" -o "$dir/v.wav" 2>"$dir/err" || { cat "$dir/err"; exit 1; }
done
