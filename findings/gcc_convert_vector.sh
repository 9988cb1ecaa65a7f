#!/bin/bash
# gcc 12 widens vectors of bytes one byte at a time.
#
# One would expect: __builtin_convertvector from 16 bytes to 16 integers is the
# one instruction that processors have for it (vpmovzxbd), as the conversion
# from integers to floats is (vcvtdq2ps).
# Seen: with AVX2 and AVX-512 each byte goes through a general register, and the
# vector is put together again; in a kernel that decodes scales of quantised weights that made the
# whole product four times as slow. The intrinsic is one instruction.
# shellcheck source=findings/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

(cd "$work" && apt-get -q download cpp-12=12.2.0-14+deb12u1 \
  libgcc-12-dev=12.2.0-14+deb12u1 libisl23=0.25-1.1 libmpc3=1.3.1-1 \
  libmpfr6=4.2.0-1 libgmp10=2:6.2.1+dfsg1-1.1 > /dev/null 2>&1)
for package in "$work"/*.deb; do dpkg -x "$package" "$work/debian"; done
export LD_LIBRARY_PATH=$work/debian/usr/lib/x86_64-linux-gnu
compiler=$work/debian/usr/lib/gcc/x86_64-linux-gnu/12
"$compiler/cc1" -version -quiet -o /dev/null < /dev/null 2>&1 | sed -n 1p

# widened BODY: instructions that widen one byte, many bytes, and integers, of a
# function of 16 numbers.
widened() {
  cat > "$work/widen.c" << C
#define _MM_MALLOC_H_INCLUDED  // what needs the C library
#include <immintrin.h>
typedef unsigned char Bytes __attribute__((vector_size(16)));
typedef int Integers __attribute__((vector_size(64)));
typedef float Floats __attribute__((vector_size(64)));
void widen(const unsigned char* restrict from, Integers* restrict integers,
           Floats* restrict floats) { $1 }
C
  "$compiler/cc1" -quiet -O3 -mavx512bw -mavx512vl -isystem "$compiler/include" \
    "$work/widen.c" -o "$work/widen.s"
  printf 'movzbl %s, pmovzx %s, cvtdq2ps %s' \
    "$(grep -c movzbl "$work/widen.s" || true)" \
    "$(grep -c pmovzx "$work/widen.s" || true)" \
    "$(grep -c cvtdq2ps "$work/widen.s" || true)"
}

expect "bytes to integers" \
  "$(widened '*integers = __builtin_convertvector(*(Bytes*)from, Integers);')" \
  "movzbl 16, pmovzx 0, cvtdq2ps 0"
expect "the same by the intrinsic" \
  "$(widened '*integers = (Integers)_mm512_cvtepu8_epi32(*(__m128i_u*)from);')" \
  "movzbl 0, pmovzx 1, cvtdq2ps 0"
expect "integers to floats" \
  "$(widened '*floats = __builtin_convertvector(*integers, Floats);')" \
  "movzbl 0, pmovzx 0, cvtdq2ps 1"
end
