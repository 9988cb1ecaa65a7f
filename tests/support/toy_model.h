// These are small random models as real GGUF files, with a byte-level
// vocabulary.
#pragma once

#include <string>

#include "tests/support/gguf_writer.h"

namespace subgen {

struct ToyModel {
  std::string architecture = "llama";  // llama, qwen2, qwen3
  int layers = 2;
  int64_t embedding = 64;
  int query_heads = 6;
  int kv_heads = 3;
  int64_t head_dim = 16;
  int64_t feed_forward = 160;  // five blocks of 32: uneven over ranks
  int64_t context = 512;
  BlockFormat format = BlockFormat::kQ8_0;
  bool tied_embeddings = true;
};

// The vocabulary is 256 bytes, "<|im_start|>" (256), "<|im_end|>" (257, ends a
// turn), and one merge, "ab" (258).
constexpr int kToyVocabulary = 259;

// Returns the file before it is written, so that tests can damage it.
GgufWriter MakeToyModel(const ToyModel& toy);

// Writes it into the test's temporary folder and returns the path.
std::string WriteToyModel(const ToyModel& toy, const std::string& name);

}  // namespace subgen
