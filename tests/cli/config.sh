#!/bin/sh
# The options' table from the outside: which source wins, what is refused and what the message proposes,
# what `config show` prints, what a file may not say.
. tests/cli/begin

mkdir "$dir/jabbertts"
file=$dir/jabbertts/jabbertts.conf

shows() { # shows LINE COMMAND...: config show prints this line
    line=$1
    shift
    env "$@" >"$dir/out" 2>&1 || fail "$*: $(cat "$dir/out")"
    grep -qxF -e "$line" "$dir/out" || fail "$*: no line \"$line\" in: $(cat "$dir/out")"
}

refuses() { # refuses TEXT COMMAND...: exit code 2, and a text in the message
    text=$1
    shift
    env "$@" >"$dir/out" 2>&1
    code=$?
    [ $code = 2 ] || fail "$*: exit code $code, wanted 2"
    grep -qF -e "$text" "$dir/out" || fail "$*: said \"$(cat "$dir/out")\", wanted \"$text\""
}

shows 'port = 8000  # default' "$bin" config show
shows '# model = (not set)  # default' "$bin" config show
shows 'speed = 1  # default' "$bin" config show
printf '# comment\nport = 8001 # behind\nhost = "a # \\"b\\""\nstrict=yes\n\nlog = '"'json'"'\nbody_timeout = 2.5\n' >"$file"
shows "port = 8001  # $file:2" "$bin" config show
shows "host = \"a # \\\"b\\\"\"  # $file:3" "$bin" config show
shows "strict = true  # $file:4" "$bin" config show
shows "log = \"json\"  # $file:6" "$bin" config show
shows "body_timeout = 2.5  # $file:7" "$bin" config show
shows 'port = 8002  # JABBERTTS_PORT' JABBERTTS_PORT=8002 "$bin" config show
shows 'port = 8003  # --port' JABBERTTS_PORT=8002 "$bin" config show --port 8003
shows 'max_input_chars = 10  # --max-input-chars' "$bin" config show --max-input-chars=10
shows 'strict = false  # --strict' "$bin" config show --no-strict
shows 'api_keys = "(hidden)"  # JABBERTTS_API_KEYS' JABBERTTS_API_KEYS=secret-key "$bin" config show
echo 'port = 8004' >"$dir/other"
shows "port = 8004  # $dir/other:1" "$bin" config show --config "$dir/other"
shows "port = 8004  # $dir/other:1" JABBERTTS_CONFIG="$dir/other" "$bin" config show

twice=$("$bin" config show | sed -n 's/ = .*//p' | sort | uniq -d)
[ -z "$twice" ] || fail "options that stand twice: $twice"

# what it shows is a file that says the same
"$bin" config show | grep -v hidden >"$dir/shown"
"$bin" config show --config "$dir/shown" | sed 's/  # .*//' >"$dir/again"
sed 's/  # .*//' "$dir/shown" | diff - "$dir/again" || fail "config show is not read back"

refuses '--port is "70000", must be a whole number from 0 to 65535; the nearest is 65535' "$bin" serve --port 70000
refuses '--port is "1.5"' "$bin" serve --port 1.5
refuses '--port is "x", must be' "$bin" serve --port x
refuses '--port needs a value' "$bin" serve --port
refuses 'there is no option --prot; did you mean --port?' "$bin" serve --prot 1
refuses 'there is no option --no-port' "$bin" serve --no-port
refuses '--log is "jsno", must be one of text json none; did you mean json?' "$bin" serve --log jsno
refuses 'JABBERTTS_SLOTS is "0", must be a whole number from 1 to 64; the nearest is 1' JABBERTTS_SLOTS=0 "$bin" serve
refuses 'there is no option JABBERTTS_SLOT; did you mean JABBERTTS_SLOTS?' JABBERTTS_SLOT=1 "$bin" serve
refuses 'unexpected argument "now"' "$bin" serve now
refuses 'JABBERTTS_OUTPUT can only be given as --output with the command' JABBERTTS_OUTPUT=x "$bin" say hi
refuses 'JABBERTTS_PORT is "x"' JABBERTTS_PORT=x "$bin" serve --port 1
for line in 'prt = 1|no option prt; did you mean port?' 'port 1|is not name = value' 'port = 1 2|must be' '[server]|sections' \
    'host = "x|no closing quote' 'host = "x" y|something behind it' 'PORT = 1|there is no option PORT; did you mean port?' \
    'strict = maybe|must be true or false' 'host = ["a", "b"]|is a list' 'host = a"b|needs quotes' 'host = a#b|needs quotes' \
    'host = "a\nb"|no other escapes' 'host =|is empty' 'output = x|can only be given as --output' 'port = 0x1F40|must be' \
    'host = """x"""|something behind it'; do
    printf '%s\n' "${line%%|*}" >"$file"
    for command in "serve" "say hi" "voices"; do # whatever the command
        # shellcheck disable=SC2086
        refuses "$file:1" "$bin" $command
        # shellcheck disable=SC2086
        refuses "${line#*|}" "$bin" $command
    done
done
printf 'port = 1\nport = 2\n' >"$file"
refuses "$file:2: port is already set in line 1" "$bin" serve
printf 'model = "/none/x.gguf"\nspeed = 2\n' >"$file" # every command reads it
for command in "say hi" "text hi" "voices" "bench" "calibrate -o $dir/i"; do
    # shellcheck disable=SC2086
    "$bin" $command >"$dir/out" 2>&1
    [ $? = 1 ] && grep -q "/none/x.gguf" "$dir/out" || fail "$command: reads no file: $(cat "$dir/out")"
done
"$bin" version >/dev/null || fail "version must work whatever the file says"
mv "$file" "$dir/jabbertts/config.toml"
refuses "mv $dir/jabbertts/config.toml $file" "$bin" serve
rm "$dir/jabbertts/config.toml"
"$bin" serve --help | grep -q -- '--max-connections N .*(1 to 20000; default 1000)' || fail "serve --help"
exit $bad
