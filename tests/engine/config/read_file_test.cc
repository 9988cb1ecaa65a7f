#include "engine/config/read_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/model_file.h"

namespace subgen {
namespace {

using ::testing::HasSubstr;

std::string Error(const std::string& path, int64_t most_bytes) {
  return std::string(ReadWholeFile(path, most_bytes).status().message());
}

// Writes `text` into the descriptor, a part at a time, and closes it.
std::thread Writer(int descriptor, std::string text) {
  return std::thread([descriptor, text = std::move(text)] {
    for (size_t at = 0; at < text.size();) {
      const ssize_t count =
          write(descriptor, text.data() + at, std::min(text.size() - at, 3ul));
      if (count < 0) break;
      at += static_cast<size_t>(count);
    }
    close(descriptor);
  });
}

TEST(ReadWholeFile, TakesBytesAsTheyAreUpToTheLimit) {
  const std::string path = TestPath("bytes");
  const std::string text = std::string("a\0\r\n\xff", 5) + "end";
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(*ReadWholeFile(path, 100), text);
  EXPECT_EQ(*ReadWholeFile(path, 8), text);
  EXPECT_EQ(Error(path, 7), "cannot read '" + path +
                                "': it has more than 7 bytes, which is the "
                                "limit");
  std::ofstream(path, std::ios::trunc).close();
  EXPECT_EQ(*ReadWholeFile(path, 0), "");
}

TEST(ReadWholeFile, TakesFilesOfManyPieces) {
  const std::string path = TestPath("large");
  std::string text;
  for (int i = 0; i < 100000; ++i) text += std::to_string(i);
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(*ReadWholeFile(path, 1 << 20), text);
}

TEST(ReadWholeFile, ReadsPipesToTheirEnd) {
  const std::string path = TestPath("fifo");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread opener(
      [&] { Writer(open(path.c_str(), O_WRONLY), "one two three").join(); });
  EXPECT_EQ(*ReadWholeFile(path, 100), "one two three");
  opener.join();
}

// A shell's <(command) names such a descriptor.
TEST(ReadWholeFile, ReadsDescriptorsByTheirNames) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer = Writer(ends[1], "by name");
  EXPECT_EQ(*ReadWholeFile("/dev/fd/" + std::to_string(ends[0]), 100),
            "by name");
  writer.join();
  close(ends[0]);
}

TEST(ReadWholeFile, ReadsStandardInputEvenThatDoesNotBlock) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
  fcntl(ends[1], F_SETFL, 0);
  const int kept = dup(STDIN_FILENO);
  dup2(ends[0], STDIN_FILENO);
  std::thread writer = Writer(ends[1], std::string(2000, 'x'));
  const auto text = ReadWholeFile("/dev/stdin", 2000);
  writer.join();
  dup2(kept, STDIN_FILENO);
  close(kept);
  close(ends[0]);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, std::string(2000, 'x'));
}

TEST(ReadWholeFile, StopsAtTheLimitWhereThereIsNoEnd) {
  EXPECT_EQ(Error("/dev/zero", 1 << 20),
            "cannot read '/dev/zero': it has more than 1048576 bytes, which is "
            "the limit");
  EXPECT_EQ(*ReadWholeFile("/dev/null", 0), "");
}

TEST(ReadBeginning, LeavesTheRest) {
  EXPECT_EQ(*ReadBeginning("/dev/zero", 100000), std::string(100000, '\0'));
  const std::string path = TestPath("beginning");
  std::ofstream(path) << "one two";
  EXPECT_EQ(*ReadBeginning(path, 3), "one");
  EXPECT_EQ(*ReadBeginning(path, 9), "one two");
  EXPECT_EQ(ReadBeginning("/", 9).status().message(),
            "cannot read '/': it is a folder");
}

TEST(ReadWholeFile, SaysWhyItCannot) {
  EXPECT_EQ(Error("/nowhere/a", 9),
            "cannot read '/nowhere/a': No such file or directory");
  EXPECT_TRUE(absl::IsNotFound(ReadWholeFile("/nowhere/a", 9).status()));
  EXPECT_EQ(Error("", 9), "cannot read '': No such file or directory");
  EXPECT_EQ(Error("/", 9), "cannot read '/': it is a folder");
  EXPECT_EQ(Error("/dev/null/a", 9),
            "cannot read '/dev/null/a': Not a directory");
  EXPECT_THAT(Error("/proc/self/mem", 9), HasSubstr("Input/output error"));
}

TEST(ReadWholeFile, SaysThatItMayNot) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read every file";
  const std::string path = TestPath("secret");
  std::ofstream(path) << "x";
  chmod(path.c_str(), 0);
  EXPECT_EQ(Error(path, 9), "cannot read '" + path + "': Permission denied");
}

}  // namespace
}  // namespace subgen
