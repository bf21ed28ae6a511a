#!/bin/sh
# The options' table from the outside: which source wins, what is refused and what the message proposes,
# what `config show` prints, and that the manual page in docs/ is the one the table makes.
set -u
bin=${BUILD:-build}/jabbertts
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
export XDG_CONFIG_HOME="$dir"
mkdir "$dir/jabbertts"
file=$dir/jabbertts/config.toml
bad=0

fail() {
    echo "FAIL: $*"
    bad=1
}

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
refuses 'there is no option "prot"; did you mean port?' "$bin" serve --prot 1
refuses 'there is no option "no-port"' "$bin" serve --no-port
refuses '--log is "jsno", must be one of text json none; did you mean json?' "$bin" serve --log jsno
refuses 'JABBERTTS_SLOTS is "0", must be a whole number from 1 to 64; the nearest is 1' JABBERTTS_SLOTS=0 "$bin" serve
refuses 'there is no option "SLOT"; did you mean slots?' JABBERTTS_SLOT=1 "$bin" serve
refuses 'unexpected argument "now"' "$bin" serve now
for line in 'prt = 1|prt"; did you mean port?' 'port 1|is not name = value' 'port = 1 2|must be' '[server]|sections' \
    'host = "x|no closing quote' 'host = "x" y|something behind it' 'PORT = 1|there is no option "PORT"; did you mean port?' \
    'strict = maybe|must be true or false'; do
    echo "${line%%|*}" >"$file"
    refuses "$file:1" "$bin" serve
    refuses "${line#*|}" "$bin" serve
done
rm "$file"
"$bin" serve --help | grep -q -- '--max-connections .*(1 to 20000; default 1000)' || fail "serve --help"
"$bin" config man >"$dir/man"
diff docs/jabbertts.1 "$dir/man" || fail "docs/jabbertts.1 is old: jabbertts config man > docs/jabbertts.1"
exit $bad
