// Writes a toy model for tests that run the programs:
// write_toy_model PATH [HEAD_DIM]
#include <cstdio>
#include <cstdlib>

#include "tests/support/toy_model.h"

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: write_toy_model PATH [HEAD_DIM]\n");
    return 1;
  }
  subgen::ToyModel toy;
  if (argc == 3) toy.head_dim = std::atoi(argv[2]);
  subgen::MakeToyModel(toy).Write(argv[1]);
  return 0;
}
