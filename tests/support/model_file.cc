#include "tests/support/model_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace subgen {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The folder is removed with all that is in it when the test program ends.
struct TestFolder {
  TestFolder()
      : path(std::filesystem::path(testing::TempDir()) /
             absl::StrCat("subgen_test_", getpid())),
        owner(getpid()) {
    std::filesystem::create_directories(path);
  }
  ~TestFolder() {
    std::error_code error;
    if (getpid() == owner) std::filesystem::remove_all(path, error);
  }

  const std::filesystem::path path;
  const pid_t owner;  // not a child of a death test
};

}  // namespace

std::string SmolModelPath() {
  const std::string path = Environment("SMOLLM2_GGUF");
  if (!path.empty()) return path;
  std::string cache = Environment("XDG_CACHE_HOME");
  if (cache.empty()) cache = Environment("HOME") + "/.cache";
  return cache + "/subgen/SmolLM2-135M-Instruct.Q4_1.gguf";
}

bool HaveSmolModel() {
  std::error_code error;
  return std::filesystem::is_regular_file(SmolModelPath(), error);
}

std::string TestPath(const std::string& name) {
  static const TestFolder folder;
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string file = name;
  if (test != nullptr) {
    file = absl::StrCat(test->test_suite_name(), "_", test->name(), "_", name);
  }
  std::replace(file.begin(), file.end(), '/', '_');
  return (folder.path / file).string();
}

}  // namespace subgen
