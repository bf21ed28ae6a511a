#!/bin/sh
# The program is built with what compiler and linker have against exploits.
binary=${BUILD:-build}/jabbertts
case ${BUILD:-build} in *address* | *undefined* | *thread* | *coverage*) echo "a build of its own kind"; exit 77 ;; esac
command -v readelf >/dev/null || { echo "no readelf"; exit 77; }
failed=0
need() {
    what=$1
    shift
    "$@" >/dev/null || { echo "FAIL: $what"; failed=1; }
}
dynamic=$(readelf -dW "$binary")
headers=$(readelf -lW "$binary")
symbols=$(readelf -sW --dyn-syms "$binary")
has() { echo "$1" | grep -Eq "$2"; }
need "relocations are bound at the start" has "$dynamic" 'BIND_NOW|FLAGS.*NOW'
need "and then read-only" has "$headers" 'GNU_RELRO'
need "the stack is not executable" has "$headers" 'GNU_STACK.* RW '
need "its address is chosen at the start" has "$(readelf -hW "$binary")" 'DYN'
need "stack protector" has "$symbols" '__stack_chk_fail'
need "checked library calls" has "$symbols" '__(snprintf|memcpy|vsnprintf|read|fprintf)_chk'
need "no segment is writable and executable" sh -c "! echo '$headers' | grep -q 'LOAD.*RWE'"
[ $failed = 0 ]
