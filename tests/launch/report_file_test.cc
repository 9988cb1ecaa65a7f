#include "launch/ranks/report_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace subgen {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ReportFileTest : public testing::Test {
 protected:
  ReportFileTest() {
    folder_ = fs::path(testing::TempDir()) /
              absl::StrCat("report_file_test_", getpid());
    fs::create_directory(folder_);
  }
  ~ReportFileTest() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ / name; }
  std::string Made(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }
  static std::string Contents(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static absl::Status Write(const std::string& path, const std::string& text) {
    const auto file = ReportFile::Open(path);
    return file.ok() ? file->Write(text) : file.status();
  }

  fs::path folder_;
};

TEST_F(ReportFileTest, HoldsTheLastReport) {
  EXPECT_TRUE(Write(Path("a"), "first, a longer one").ok());
  EXPECT_TRUE(Write(Path("a"), "second").ok());
  EXPECT_EQ(Contents(Path("a")), "second");
}

TEST_F(ReportFileTest, LinksStayAndTheirEndsAreWritten) {
  const std::string target = Made("target", "old");
  fs::create_symlink("target", Path("link"));
  fs::create_symlink(Path("link"), Path("link2"));
  fs::create_symlink("not yet", Path("dangling"));
  EXPECT_TRUE(Write(Path("link2"), "new").ok());
  EXPECT_TRUE(Write(Path("dangling"), "born").ok());
  EXPECT_TRUE(fs::is_symlink(Path("link")) && fs::is_symlink(Path("link2")));
  EXPECT_EQ(Contents(target), "new");
  EXPECT_EQ(Contents(Path("not yet")), "born");
}

TEST_F(ReportFileTest, ModeAndOtherNamesStay) {
  const std::string path = Made("kept", "old");
  chmod(path.c_str(), 0640);
  EXPECT_TRUE(Write(path, "new").ok());
  struct stat is = {};
  ASSERT_EQ(stat(path.c_str(), &is), 0);
  EXPECT_EQ(is.st_mode & 07777, 0640u);
  fs::create_hard_link(path, Path("other name"));
  EXPECT_TRUE(Write(path, "newest").ok());
  EXPECT_EQ(Contents(Path("other name")), "newest");
}

TEST_F(ReportFileTest, NothingBesideItIsTouched) {
  Made("a.part", "a user's");
  EXPECT_TRUE(Write(Path("a"), "report").ok());
  EXPECT_EQ(Contents(Path("a.part")), "a user's");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2);
}

TEST_F(ReportFileTest, PipesAndDevicesAreWrittenThrough) {
  const std::string pipe = Path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = Contents(pipe); });
  EXPECT_TRUE(Write(pipe, "through").ok());
  reader.join();
  EXPECT_EQ(read, "through");
  EXPECT_TRUE(fs::is_fifo(pipe));
  fs::create_symlink("/dev/full", Path("full"));
  EXPECT_THAT(std::string(Write(Path("full"), "a").message()),
              HasSubstr("No space left"));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(ReportFileTest, WhatCannotBeWrittenIsSaidEarly) {
  const std::string folder = folder_.string();
  EXPECT_THAT(std::string(ReportFile::Open(folder).status().message()),
              HasSubstr("directory"));
  EXPECT_FALSE(ReportFile::Open(Path("none/a")).ok());
  EXPECT_TRUE(ReportFile::Open("").ok());
}

}  // namespace
}  // namespace subgen
