// How attention is shared out over threads must not show: a task's results are
// the same bits alone and in any list.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/backend.h"
#include "tests/kernels/backends/attention_case.h"

namespace subgen {
namespace {

std::vector<float> Numbers(const SoftmaxPartials& out) {
  std::vector<float> all(out.max_logit.begin(), out.max_logit.end());
  all.insert(all.end(), out.partition.begin(), out.partition.end());
  for (int64_t i = 0; i < out.rows(); ++i) {
    const auto row = out.weighted.row(i);
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

// Each shape is a sequence whose queries attend to two sets of rows.
void ExpectTheSame(const std::vector<AttentionShape>& shapes, int threads) {
  const auto backend = MakeCpuBackend(threads);
  std::vector<std::unique_ptr<AttentionCase>> cases;
  std::vector<PartialsBuffer> together;
  std::vector<AttentionTask> all;
  for (const AttentionShape& shape : shapes) {
    cases.push_back(std::make_unique<AttentionCase>(shape));
    together.push_back(cases.back()->EmptyPartials());
  }
  const auto tasks = [&](size_t i, const SoftmaxPartials& out) {
    const int64_t rows = shapes[i].rows, first = rows / 3;
    return std::vector<AttentionTask>{
        cases[i]->TaskOfRows(0, first, out),
        cases[i]->TaskOfRows(first, rows - first, out)};
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    for (const AttentionTask& task : tasks(i, together[i].view())) {
      all.push_back(task);
    }
  }
  backend->Attend(all);
  for (size_t i = 0; i < cases.size(); ++i) {
    PartialsBuffer alone = cases[i]->EmptyPartials();
    backend->Attend(tasks(i, alone.view()));
    EXPECT_EQ(Numbers(together[i].view()), Numbers(alone.view()))
        << threads << " threads, sequence " << i << " of " << shapes.size();
  }
}

TEST(AttentionCut, ManySequencesAsOneByOne) {
  std::vector<AttentionShape> shapes;
  for (const int64_t rows : {1, 60, 192, 400, 512, 700, 1500, 3000}) {
    shapes.push_back({.rows = rows});
    shapes.push_back({.rows = rows, .format = RowFormat::kQ8});
  }
  for (const int threads : {1, 2, 3, 8}) ExpectTheSame(shapes, threads);
}

// One sequence has most of the work, so that its pieces are shared out.
TEST(AttentionCut, ALongSequenceBesideShortOnes) {
  for (const int threads : {2, 4}) {
    ExpectTheSame({{.rows = 300}, {.rows = 30000}, {.rows = 129}}, threads);
  }
}

TEST(AttentionCut, APromptBesideDecode) {
  for (const int threads : {2, 4}) {
    ExpectTheSame({{.tokens = 200, .rows = 900}, {.rows = 900}, {.rows = 20}},
                  threads);
  }
}

}  // namespace
}  // namespace subgen
