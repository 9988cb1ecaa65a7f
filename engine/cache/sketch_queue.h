// What the sketches of all layers leave to the backend in a step: tokens that
// join and limits that change. Few operations do it for all heads, which are
// not alike, but even out over threads.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/cache/sketch.h"
#include "kernels/backend.h"

namespace subgen {

class SketchQueue {
 public:
  explicit SketchQueue(Backend& backend) : backend_(backend) {}

  // Work of one sketch is in rounds, done one after another: in each a limit,
  // then tokens, either once or not at all. Tokens and sketches stay until Run.
  void AddLimit(size_t round, Sketch* sketch, int64_t rows);
  void AddTokens(size_t round, Sketch* sketch, const LeavingTokens& tokens);
  void Run();

 private:
  struct Limit {
    Sketch* sketch;
    int64_t rows;
  };
  struct Tokens {
    Sketch* sketch;
    LeavingTokens tokens;
  };
  struct Round {
    std::vector<Limit> limits;
    std::vector<Tokens> tokens;
  };
  Round& At(size_t round);
  void Insert(const std::vector<CenterTask>& tasks);

  Backend& backend_;
  std::vector<Round> rounds_;
};

}  // namespace subgen
