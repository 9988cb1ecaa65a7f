#include "comm/step_deadline.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace subgen {
namespace {

void Sleep(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

class StepDeadlineDeathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  }
};

TEST_F(StepDeadlineDeathTest, EndsAStepThatTakesTooLong) {
  EXPECT_DEATH(
      {
        StepDeadline deadline(0.05, "rank 3 on host7");
        deadline.Arm("step 41");
        deadline.Arm("step 42");
        Sleep(20.0);
        std::_Exit(0);
      },
      "rank 3 on host7: step 42 exceeded 0.05 s");
}

TEST_F(StepDeadlineDeathTest, RefusesANegativeDeadline) {
  EXPECT_DEATH(StepDeadline(-1.0), "deadline of -1 s");
}

// The next three would abort the test program if they were wrong.
TEST(StepDeadline, LetsManyShortStepsPass) {
  StepDeadline deadline(0.5);
  for (int step = 0; step < 20; ++step) {  // 0.8 s in all
    deadline.Arm("step");
    Sleep(0.04);
    deadline.Disarm();
  }
}

TEST(StepDeadline, DoesNotCountTheTimeBetweenSteps) {
  StepDeadline deadline(0.1);
  deadline.Arm("step");
  deadline.Disarm();
  Sleep(0.4);
}

TEST(StepDeadline, ZeroIsOff) {
  StepDeadline deadline(0.0);
  deadline.Arm("step");
  Sleep(0.2);
}

TEST(StepDeadline, EndsAtOnceWhenDestroyed) {
  std::chrono::steady_clock::time_point start;
  {
    StepDeadline deadline(1e6);
    Sleep(0.1);  // it looks once a second, next at 1 s
    start = std::chrono::steady_clock::now();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start,
            std::chrono::milliseconds(600));
}

}  // namespace
}  // namespace subgen
