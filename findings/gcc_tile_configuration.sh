#!/bin/bash
# gcc 12 drops stores that AMX's tile configuration is made of.
#
# One would expect: _tile_loadconfig(&config) reads the 64 bytes that the
# instruction ldtilecfg reads, so that what a function wrote there before stays.
# Seen: the header tells the compiler that 8 bytes are read (those of a pointer).
# Stores to the other 56, rows and bytes of a row of each tile, are dead to the
# optimizer and go; the tiles have no rows then. One comes upon it where a
# struct is filled and loaded in one function. Other accesses of the struct, a
# barrier, or an asm with the whole struct as its input keep them.
# shellcheck source=findings/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install_cc1

# constants BODY: how many of the numbers 111 and 77, which are written to rows
# and to the palette, are in the machine code.
constants() {
  cat > "$work/tiles.c" << C
typedef unsigned char byte;
#define __x86_64__ 1
#define _IMMINTRIN_H_INCLUDED
#include <amxtileintrin.h>
struct Config {
  byte palette, start, reserved[14];
  unsigned short row_bytes[16];
  byte rows[16];
} __attribute__((aligned(64)));
void configure(void) {
  struct Config config = {0};
  config.palette = 77;
  for (int i = 0; i < 8; ++i) config.rows[i] = 111;
  $1
}
C
  cc1 -O2 -mamx-tile \
    "$work/tiles.c" -o "$work/tiles.s"
  printf 'palette %s, rows %s' \
    "$(grep -cE '\$77|\$0?x?4d' "$work/tiles.s" || true)" \
    "$(grep -cE '8029759185026510703|\$111' "$work/tiles.s" || true)"
}

expect "stores that are left, _tile_loadconfig" \
  "$(constants '_tile_loadconfig(&config);')" "palette 1, rows 0"
expect "with the whole struct as input" \
  "$(constants 'asm volatile("ldtilecfg %0" : : "m"(config));')" \
  "palette 1, rows 1"
end
