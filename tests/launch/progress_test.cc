#include "launch/ranks/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace subgen {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kWide = 200;

TEST(FormatProgress, ShowsShareCountPaceAndTimeLeft) {
  // 1,008 in 1.26 s are 800 a second; 1,392 are left, 1.74 s of them.
  EXPECT_EQ(
      FormatProgress("reading the prompt", "tokens", {1008, 2400, 1.26}, kWide),
      "reading the prompt [############..................]  42 %  1,008 "
      "of 2,400 tokens  800 tokens/s  0:02 left");
}

TEST(FormatProgress, SaysWhatIsBeingDoneBeforeAnythingIsDone) {
  EXPECT_EQ(FormatProgress("copy, subgen", "sequences", {0, 117, 3.0}, kWide),
            "copy, subgen [..............................]   0 %  0 of 117 "
            "sequences");
  EXPECT_EQ(FormatProgress("a", "b", {1, 10, 0.0}, kWide),
            "a [###...........................]  10 %  1 of 10 b");
}

TEST(FormatProgress, SlowAndLongWork) {
  EXPECT_THAT(FormatProgress("", "sequences", {3, 9, 12.0}, kWide),
              HasSubstr("0.25 sequences/s  0:24 left"));
  // At 6 a minute the 7,000 that are left take 70,000 s.
  EXPECT_THAT(FormatProgress("", "x", {100, 7100, 1000.0}, kWide),
              HasSubstr("  1 %  100 of 7,100 x  0.1 x/s  19:26:40 left"));
  EXPECT_THAT(FormatProgress("", "x", {10, 20, 599.5}, kWide),
              HasSubstr("10:00 left"));
  EXPECT_THAT(FormatProgress("", "x", {1234567, 12345678, 1.0}, kWide),
              HasSubstr("1,234,567 of 12,345,678 x  1,234,567 x/s"));
}

// 99.9 % is not yet all, and what cannot be is shown as the nearest that can.
TEST(FormatProgress, NeverMoreThanThereIs) {
  EXPECT_THAT(FormatProgress("", "x", {999, 1000, 1.0}, kWide),
              HasSubstr("  99 %  999 of 1,000 x"));
  EXPECT_THAT(FormatProgress("", "x", {5, 4, 1.0}, kWide),
              HasSubstr("100 %  4 of 4 x"));
  EXPECT_THAT(FormatProgress("", "x", {0, 0, 1.0}, kWide),
              HasSubstr("0 %  0 of 1 x"));
}

TEST(FormatProgress, FitsIntoTheColumns) {
  const Progress progress = {1008, 2400, 1.26};
  const std::string whole =
      FormatProgress("reading", "tokens", progress, kWide);
  const int width = static_cast<int>(whole.size());
  EXPECT_EQ(FormatProgress("reading", "tokens", progress, width), whole);
  EXPECT_THAT(FormatProgress("reading", "tokens", progress, width - 10),
              HasSubstr("reading [########............]  42 %"));
  EXPECT_THAT(FormatProgress("reading", "tokens", progress, width - 26),
              HasSubstr("reading [#...]  42 %"));
  EXPECT_EQ(FormatProgress("reading", "tokens", progress, width - 27),
            "reading  42 %  1,008 of 2,400 tokens  800 tokens/s  0:02 left");
  EXPECT_EQ(FormatProgress("reading", "tokens", progress, 15),
            "reading  42 %  ");
  EXPECT_EQ(FormatProgress("\xc3\xa4\xc3\xa4", "", progress, 3), "\xc3\xa4");
  EXPECT_EQ(FormatProgress("reading", "tokens", progress, 0), "");
}

// Returns what `work` writes to standard error while that is a terminal of 64
// columns.
std::string OnTerminal(const std::function<void()>& work) {
  int leader = -1, follower = -1;
  winsize size = {24, 64, 0, 0};
  EXPECT_EQ(openpty(&leader, &follower, nullptr, nullptr, &size), 0);
  const int kept = dup(STDERR_FILENO);
  dup2(follower, STDERR_FILENO);
  work();
  dup2(kept, STDERR_FILENO);
  close(kept);
  fcntl(leader, F_SETFL, O_NONBLOCK);
  std::string text(4096, '\0');
  const ssize_t count = read(leader, text.data(), text.size());
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  close(follower);
  close(leader);
  return text;
}

TEST(ProgressBar, RewritesOneLineOfATerminalAndClearsIt) {
  const std::string text = OnTerminal([] {
    ProgressBar bar("reading", "tokens");
    bar.Show(0, 8);
    for (int done = 1; done <= 8; ++done) bar.Show(done, 8);
  });
  EXPECT_EQ(text,
            "\rreading [..............................]   0 %  0 of 8 "
            "tokens\x1b[K\r\x1b[K");
}

// The name is shown however soon it comes: the next step may take long.
TEST(ProgressBar, ShowsANewNameAtOnce) {
  const std::string text = OnTerminal([] {
    ProgressBar bar("reading", "tokens");
    bar.Show(0, 8);
    bar.Rename("writing");
    bar.Show(0, 8);
    bar.Show(0, 8);
  });
  EXPECT_EQ(text,
            "\rreading [..............................]   0 %  0 of 8 "
            "tokens\x1b[K"
            "\rwriting [..............................]   0 %  0 of 8 "
            "tokens\x1b[K\r\x1b[K");
}

// The pace is not from the end of what was done before: it would be 3,000 a
// second.
TEST(ProgressBar, CountsThePaceFromWhenNothingWasDone) {
  const std::string text = OnTerminal([] {
    ProgressBar bar("a", "b");
    bar.Show(7, 8);
    bar.Show(8, 8);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    bar.Show(0, 1000);
    bar.Rename("c");
    bar.Show(900, 1000);  // at once, so hundreds of thousands a second
  });
  EXPECT_THAT(text,
              testing::ContainsRegex("[0-9],?[0-9][0-9][0-9],[0-9]+ b/s"));
}

TEST(ProgressBar, ClearsItsLineWhenWorkIsGivenUp) {
  const std::string text = OnTerminal([] {
    ProgressBar bar("copy, a policy of a long name", "sequences");
    bar.Show(1, 8);
  });
  EXPECT_THAT(text, testing::StartsWith("\rcopy, a policy of a long name  12 "
                                        "%  1 of 8 sequences"));
  EXPECT_THAT(text, testing::EndsWith("\x1b[K\r\x1b[K"));
  EXPECT_THAT(text, Not(HasSubstr("\n")));
  EXPECT_LE(text.size(), 63 + 2 * 4u);
}

TEST(ProgressBar, ShortWorkPrintsNothingIntoAFile) {
  testing::internal::CaptureStderr();
  {
    ProgressBar bar("reading", "tokens");
    for (int done = 0; done <= 100; ++done) bar.Show(done, 100);
    bar.Show(50, 100);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace subgen
