// Writes a toy model for tests that run the programs: write_toy_model PATH.
#include <cstdio>

#include "tests/support/toy_model.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_toy_model PATH\n");
    return 1;
  }
  subgen::MakeToyModel({}).Write(argv[1]);
  return 0;
}
