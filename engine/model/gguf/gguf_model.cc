#include "engine/model/gguf/gguf_model.h"

#include <string>
#include <utility>

#include "engine/model/gguf/gguf_config.h"
#include "engine/model/gguf/gguf_vocabulary.h"
#include "engine/model/gguf/tensor_roles.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

absl::Status Fill(const GgufFile& file, const RopeConfig& rope,
                  ModelFile* model) {
  model->path = file.path();
  ASSIGN_OR_RETURN(model->config, ReadGgufConfig(file, rope));
  model->tensors = file.tensors();
  RETURN_IF_ERROR(AssignTensors(model));
  ASSIGN_OR_RETURN(model->vocabulary, ReadGgufVocabulary(file));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelFile> MakeGgufModel(std::unique_ptr<GgufFile> file,
                                        const RopeConfig& rope) {
  ModelFile model;
  const absl::Status status = Fill(*file, rope, &model);
  // NotFoundError is for a file that is not there.
  if (absl::IsNotFound(status)) {
    return absl::InvalidArgumentError(status.message());
  }
  RETURN_IF_ERROR(status);
  model.mappings.push_back(std::move(*file).TakeMapping());
  return model;
}

absl::StatusOr<ModelFile> ReadGgufModel(const std::string& path,
                                        const RopeConfig& rope) {
  ASSIGN_OR_RETURN(auto file, GgufFile::Open(path));
  return MakeGgufModel(std::move(file), rope);
}

}  // namespace subgen
