#include "launch/generate/report.h"

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

GenerationReport Held(int64_t rows, const std::string& format) {
  GenerationReport report;
  report.cache.policy = "subgen";
  report.cache.row_format = format;
  report.totals.tokens = 4200;
  report.totals.cache_rows = rows;
  report.totals.exact_cache_rows = 4200 * 6;
  report.totals.cache_bytes = 1'500'000;
  report.totals.reserved_bytes = 2'000'000;
  report.totals.exact_cache_bytes = 6'000'000;
  return report;
}

TEST(ReportTest, SaysThatNothingIsLostWhileThatIsSo) {
  EXPECT_THAT(Summary(Held(4200 * 6, "bf16")),
              HasSubstr("subgen: all 4,200 tokens held exactly; 1.50 MB used, "
                        "2.00 MB reserved\n"));
  EXPECT_THAT(Summary(Held(4200 * 6, "q4")),
              HasSubstr("all 4,200 tokens held in few bits; 1.50 MB used, 2.00 "
                        "MB reserved; exact would use 6.00 MB (25 %)\n"));
  EXPECT_THAT(Summary(Held(1050 * 6, "bf16")),
              HasSubstr("4,200 tokens in 25 % of their rows; 1.50 MB used, "
                        "2.00 MB reserved; exact would use 6.00 MB (25 %)\n"));
}

TEST(ReportTest, SaysWhereRanksOnlyWait) {
  GenerationReport report = Held(1, "bf16");
  report.result.times.decode_tokens = 10;
  report.result.times.decode_seconds = 1.0;
  report.result.times.decode_communication_seconds = 0.9;
  EXPECT_THAT(Summary(report), Not(HasSubstr("one rank")));
  report.ranks = 2;
  EXPECT_THAT(Summary(report), HasSubstr("one rank would be faster"));
  report.result.times.decode_communication_seconds = 0.3;
  EXPECT_THAT(Summary(report), Not(HasSubstr("one rank")));
}

}  // namespace
}  // namespace subgen
