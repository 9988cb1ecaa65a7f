// This is what a model file gives, whatever its format. The rest of the engine
// sees a model in no other form.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "engine/model/mapped_file.h"
#include "engine/model/model_config.h"
#include "engine/text/tokenizer.h"
#include "kernels/memory/view.h"
#include "kernels/quant/block_format.h"

namespace subgen {

struct ModelTensor {
  std::string name;  // in the file, for messages
  BlockFormat format = BlockFormat::kF32;
  std::vector<int64_t> shape;    // fastest first: [cols, rows]
  Vector<const std::byte> data;  // in a mapping
};

// These are the tensors of a layer by their roles; one is null where the
// architecture has none.
struct LayerTensors {
  const ModelTensor* attention_norm = nullptr;  // [embedding]
  const ModelTensor* query = nullptr;           // [embedding, query features]
  const ModelTensor* key = nullptr;             // [embedding, key features]
  const ModelTensor* value = nullptr;           // [embedding, key features]
  const ModelTensor* query_bias = nullptr;      // [query features]
  const ModelTensor* key_bias = nullptr;        // [key features]
  const ModelTensor* value_bias = nullptr;      // [key features]
  const ModelTensor* query_norm = nullptr;      // [head_dim]
  const ModelTensor* key_norm = nullptr;        // [head_dim]
  const ModelTensor* output = nullptr;          // [query features, embedding]
  const ModelTensor* feed_forward_norm = nullptr;  // [embedding]
  const ModelTensor* gate = nullptr;               // [embedding, feed_forward]
  const ModelTensor* up = nullptr;                 // [embedding, feed_forward]
  const ModelTensor* down = nullptr;               // [feed_forward, embedding]
};

// Whoever fills one has checked it: each role of the architecture has a tensor
// of the shape that the hyperparameters say, vectors are not quantized, and all
// data lies inside the mappings. A ModelFile can be moved, not copied: roles
// and tensors are views of what it owns.
struct ModelFile {
  std::string path;
  ModelConfig config;
  std::vector<ModelTensor> tensors;        // all, in the order of the file
  const ModelTensor* embedding = nullptr;  // [embedding, vocabulary]
  std::vector<LayerTensors> layers;
  const ModelTensor* output_norm = nullptr;  // [embedding]
  const ModelTensor* unembedding = nullptr;  // [embedding, vocabulary]
  Vocabulary vocabulary;                     // with the chat template
  std::vector<MappedFile> mappings;

  // Gives back the memory of what was read, for when a backend has its copy.
  void DropPages() const {
    for (const MappedFile& mapping : mappings) mapping.DropPages();
  }
};

// Reads a GGUF file, with the user's `rope` settings over the file's. It
// refuses by name what is not understood, what is out of range, a setting that
// changes the arithmetic and that the engine does not know, and a tensor that
// is missing, left over or of another shape than the hyperparameters say.
// NotFoundError is returned where there is no such file. engine/model/gguf
// defines it.
absl::StatusOr<ModelFile> ReadGgufModel(const std::string& path,
                                        const RopeConfig& rope);

}  // namespace subgen
