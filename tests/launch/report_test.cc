#include "launch/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace subgen {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ReportTest, SaysHowTheBackendRanWhereThereIsSomethingToSay) {
  GenerationReport report;
  EXPECT_THAT(Summary(report), Not(HasSubstr("note")));
  EXPECT_THAT(ToJson(report), Not(HasSubstr("note")));
  report.note = "steps are not captured";
  EXPECT_THAT(Summary(report), HasSubstr("note     steps are not captured\n"));
  EXPECT_THAT(ToJson(report),
              HasSubstr("\"note\": \"steps are not captured\""));
}

}  // namespace
}  // namespace subgen
