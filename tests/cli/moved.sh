#!/bin/sh
# A tree that was unpacked anywhere finds its voice: the program by its own place, and the library by its own when another
# program has loaded it.
build=${BUILD:-build}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
export XDG_CONFIG_HOME="$dir" XDG_DATA_HOME="$dir/data" PULSE_RUNTIME_PATH="$dir/pulse"
mkdir -p "$dir/here/bin" "$dir/here/lib" "$dir/here/share/jabbertts"
cp "$build/jabbertts" "$dir/here/bin/"
cp "$build/libjabbertts.so" "$dir/here/lib/libjabbertts.so.0"
cp models/jabber-tiny.gguf "$dir/here/share/jabbertts/"
mv "$dir/here" "$dir/there"
bad=0
(cd / && "$dir/there/bin/jabbertts" say --quiet "Hi." -o "$dir/hi.wav") || { echo "FAIL: the program"; bad=1; }
cat >"$dir/user.c" <<'C'
#include <jabbertts.h>
#include <stdio.h>
int main(void)
{
    struct jabbertts_options o;
    struct jabbertts_error e = {0};
    struct jabbertts *tts;
    jabbertts_options_init(&o);
    if (jabbertts_open(&o, &tts, &e) < 0)
        return puts(e.message), 1;
    jabbertts_close(tts);
    return 0;
}
C
case $build in
*address* | *undefined* | *thread* | *coverage*) ;; # these want the program built their way, too
*)
    cc -Iinclude "$dir/user.c" "$dir/there/lib/libjabbertts.so.0" -Wl,-rpath,"$dir/there/lib" \
        -Wl,--allow-shlib-undefined -o "$dir/user" && (cd / && "$dir/user") || { echo "FAIL: the library"; bad=1; }
    ;;
esac
exit $bad
