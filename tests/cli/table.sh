#!/bin/sh
# Every command alike: --help within 100 columns and with examples, an unknown option, a wrong value, a
# file that is missing; completion and the manual page come from the same table.
. tests/cli/begin

commands=$("$bin" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
[ "$(echo "$commands" | wc -l)" -ge 13 ] || fail "commands: $commands"
"$bin" config man >"$dir/man" || fail "config man"
for shell in bash zsh fish; do
    "$bin" completion $shell >"$dir/$shell" || fail "completion $shell"
done
for c in $commands; do
    expect 0 "usage: jabbertts $c" "$bin" $c --help
    expect 0 "^Examples:" "$bin" $c --help
    awk 'length > 100' "$dir/out" "$dir/err" | grep . && fail "$c --help: over 100 columns"
    expect 0 "usage: jabbertts $c" "$bin" help $c
    expect 2 "there is no option --hlep; did you mean --help?" "$bin" $c --hlep
    expect 2 "try: jabbertts $c --help" "$bin" $c --hlep
    expect 2 "there is no option -%" "$bin" $c -%
    grep -q "^.SS $c$" "$dir/man" || fail "the manual page lacks $c"
    for option in $("$bin" $c --help | sed -n 's/^ .*\(--[a-z][a-z-]*\).*/\1/p' | sort -u); do
        for f in bash fish zsh; do
            grep -q -e "${option#--}" "$dir/$f" || fail "completion $f lacks $option of $c"
        done
        grep -q -e "$(echo "$option" | sed 's/-/\\\\-/g')" "$dir/man" || fail "the manual page lacks $option"
    done
    case $c in
    version | completion) continue ;;
    esac
    expect 1 "cannot read $dir/none" "$bin" $c --config "$dir/none"
    expect 2 'JABBERTTS_SLOTS is "0"' env JABBERTTS_SLOTS=0 "$bin" $c
    expect 2 "JABBERTTS_PROT; did you mean JABBERTTS_PORT?" env JABBERTTS_PROT=1 "$bin" $c
done

# wrong values of each kind, and files that are missing, where a command has them
while IFS='|' read -r code text command; do
    # shellcheck disable=SC2086
    expect "$code" "$text" "$bin" $command
done <<END
2|--speed is "9", must be a number from 0.25 to 4; the nearest is 4|say hi --speed 9
2|--seed is "x", must be a whole number|say hi --seed x
2|--cache is "q8", must be one of .*|say hi --cache q8
2|--port is an option of serve, not of say|say hi --port 1
2|--speed needs a value|say hi --speed
2|--play takes no value|say hi --play=1
2|unexpected argument "there"|say hi there
2|either a text or --input|say hi -i README.md
2|no voice "nobody"; .jabbertts voices. lists|say hi --voice nobody
2|no voice "bela"; did you mean bella?|say hi --voice bela
1|no voice "bela"; did you mean bella?|book README.md -o $dir/b.m4b --voice bela
2|no voice "Aloy"; did you mean alloy?|say hi --voice Aloy
2|.jabbertts voices --model espeak-ng. lists|say hi --model espeak-ng --voice qq
2|there is no option -5; what begins with - and is none goes behind --|say -5
2|has no language 'qq'$|say hi --voice amy --language qq
1|"s2-mini" is installed; get it with .jabbertts pull s2-mini.|say hi --model s2-mini
1|is installed; did you mean jabber-tiny?|say hi --model jaber-tiny
1|is installed; get it with|models show jaber-tiny
1|no voice "alloi"; did you mean alloy?|voices show alloi
1|"amy": only your own voices can be removed|voices rm amy --voice-dir $dir/store
1|cannot write $dir/none/x.gguf: No such file|quantize models/jabber-tiny.gguf $dir/none/x.gguf --type q8
1|cannot write $dir: Is a directory|convert --random s1-mini -o $dir
2|a socket is unix:$dir/none|serve --host $dir/none
1|give one with --name|pull $dir --name -x
1|cannot read $dir/none|say -i $dir/none
1|it is a directory|say -i $dir
1|cannot open $dir/none|say hi --model $dir/none
1|cannot read $dir/none|text -i $dir/none
2|--stage is "cleen", must be one of .*; did you mean clean?|text --stage cleen hi
2|--port is "70000", must be a whole number|serve --port 70000
1|cannot open $dir/none|serve --model $dir/none
1|cannot read .*$dir/none|serve --api-keys-file $dir/none --port 0
2|there is no "lits"; did you mean list?|voices lits
2|add takes 2 arguments: NAME RECORDING, got 1|voices add me
1|cannot read $dir/none|voices add me $dir/none --voice-dir $dir/store
2|wanted one directory|convert -o $dir/x.gguf
2|--type is "q3", must be one of|convert $dir -o $dir/x.gguf --type q3
1|$dir/none|convert $dir/none -o $dir/x.gguf
2|wanted FILE|inspect
2|--context is "-1", must be a whole number|inspect x --context -1
1|cannot open $dir/none|inspect $dir/none
2|wanted --type|quantize a b
1|cannot open $dir/none|quantize $dir/none $dir/x.gguf --type q8
2|wanted -o FILE|calibrate
2|--threads is "many"|calibrate --threads many
1|cannot open $dir/none|calibrate -o $dir/x $dir/none
2|wanted --reference|eval x
1|cannot open $dir/none|eval $dir/none --reference $dir/none
2|--context is 1, must be at least 64|bench --context 1
1|cannot open $dir/none|bench $dir/none
2|there is no "shwo"; did you mean show?|config shwo
2|there is no "bsah"; did you mean bash?|completion bsah
2|unexpected argument "now"|version now
2|there is no command "serv"; did you mean serve?|serv
2|there is no command "sya"; did you mean say?|help sya
END

# what the shells make of it
complete() { # complete WORD...: what bash proposes for the last one
    bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _jabbertts 2>/dev/null; echo "${COMPREPLY[*]}"' \
        - "$dir/bash" "$@"
}
[ "$(complete jabbertts quan)" = quantize ] || fail "bash: $(complete jabbertts quan)"
[ "$(complete jabbertts say --format f)" = flac ] || fail "bash: $(complete jabbertts say --format f)"
[ "$(complete jabbertts say --format = o)" = opus ] || fail "bash: $(complete jabbertts say --format = o)"
[ "$(complete jabbertts serve --max-c)" = --max-connections ] || fail "bash: $(complete jabbertts serve --max-c)"
[ "$(complete jabbertts voices ex)" = export ] || fail "bash: $(complete jabbertts voices ex)"
for shell in zsh fish; do
    ! command -v $shell >/dev/null || $shell -n "$dir/$shell" || fail "$shell does not read its completion"
done
if command -v fish >/dev/null; then
    fish -c "source $dir/fish; complete -C 'jabbertts say --spee'" | grep -q -e '--speed' || fail "fish"
fi
exit $bad
