#!/bin/bash
# gcc translates program.c; what it produces and what that prints must be what they are elsewhere.
source=$PWD/program.c
cd "$(mktemp -d)" || exit 1
cp "$source" .
for flags in -O0 '-O2 -g0' '-O3 -ffast-math -fno-math-errno -DFAST' '-Os -fPIE -pie' '-O2 -static' $MORE_FLAGS; do
  echo "== gcc $flags"
  gcc $flags -std=gnu17 -S -o program.s program.c && sha256sum < program.s
  gcc $flags -o program program.s -lm -lpthread && ./program
  echo "exit $?"
done
gcc -E program.c | grep -v '^#' | sha256sum
gcc -O2 -c program.c && objdump -d --no-show-raw-insn program.o | sha256sum && nm program.o | sort -k3 | sha256sum && size program.o | tail -n 1
ar rcsD libprogram.a program.o && sha256sum libprogram.a | cut -c 1-64
echo 'int main(void) { return undeclared; }' > wrong.c; gcc wrong.c 2>&1; echo "exit $?"
