#!/bin/sh
# Program and library are built with what compiler and linker have against exploits.
build=${BUILD:-build}
case $build in *address* | *undefined* | *thread* | *coverage*) echo "a build of its own kind"; exit 77 ;; esac
command -v readelf >/dev/null || { echo "no readelf"; exit 77; }
failed=0
need() { # need FILE WHAT COMMAND...
    what="$1: $2"
    shift 2
    "$@" >/dev/null || { echo "FAIL: $what"; failed=1; }
}
has() { echo "$1" | grep -Eq "$2"; }
lacks() { ! has "$@"; }
for file in jabbertts libjabbertts.so; do
    dynamic=$(readelf -dW "$build/$file")
    headers=$(readelf -lW "$build/$file")
    symbols=$(readelf -sW --dyn-syms "$build/$file")
    need $file "relocations are bound at the start" has "$dynamic" 'BIND_NOW|FLAGS.*NOW'
    need $file "and then read-only" has "$headers" 'GNU_RELRO'
    need $file "the stack is not executable" has "$headers" 'GNU_STACK.* RW '
    need $file "its address is chosen at the start" has "$(readelf -hW "$build/$file")" 'DYN'
    need $file "stack protector" has "$symbols" '__stack_chk_fail'
    need $file "checked library calls" has "$symbols" '__(snprintf|memcpy|vsnprintf|read|fprintf)_chk'
    need $file "no segment is writable and executable" lacks "$headers" 'LOAD.*RWE'
    need $file "libraries come from the system's places" lacks "$dynamic" 'RPATH|RUNPATH'
    need $file "no relocation is in the code" lacks "$dynamic" 'TEXTREL'
done
# Landing pads of indirect branches, in nearly all functions.  The linker takes the mark that turns the check on only if the
# C library's start files have it, which is the distribution's choice.
case $(uname -m) in
x86_64) pads=$(objdump -d --no-show-raw-insn "$build/jabbertts" | grep -c endbr64) ;;
aarch64) pads=$(objdump -d --no-show-raw-insn "$build/jabbertts" | grep -cE 'bti|paciasp') ;;
*) pads=1000 ;;
esac
[ "$pads" -ge 1000 ] || { echo "FAIL: jabbertts: $pads landing pads of indirect branches"; failed=1; }
[ $failed = 0 ]
