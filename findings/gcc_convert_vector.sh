#!/bin/bash
# gcc 12 widens vectors of bytes one byte at a time.
#
# One would expect: __builtin_convertvector from 16 bytes to 16 integers is the
# one instruction that processors have for it (vpmovzxbd), as the conversion
# from integers to floats is (vcvtdq2ps).
# Seen: with AVX2 and AVX-512 each byte goes through a general register, and the
# vector is put together again; in a kernel that decodes scales of quantized
# weights that made the whole product three times as slow. The intrinsic is one
# instruction.
# shellcheck source=findings/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install_cc1

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
  cc1 -O3 -mavx512bw -mavx512vl \
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
