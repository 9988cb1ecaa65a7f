// Random tokens join what the heads of two backends hold.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/kernels/random_rows.h"

namespace subgen {

// Each chunk joins all heads in one call of insert(tasks, reference_tasks);
// after it a head of `tested` holds what its twin in `expected` does. A Head
// has Insert(keys, values), which makes a task, ExpectAs(other), and entered.
template <class Head, class Insert>
void CompareHeads(std::vector<Head>* tested, std::vector<Head>* expected,
                  const std::vector<int64_t>& chunks, RowFormat format,
                  int64_t dim, Insert insert) {
  using Task = decltype(tested->front().Insert(Rows(), Rows()));
  int seed = 1;
  for (const int64_t tokens : chunks) {
    std::vector<std::unique_ptr<StoredRows>> stored;
    const auto rows = [&]() -> const Rows& {
      RandomMatrix numbers(tokens, dim, ++seed);
      stored.push_back(std::make_unique<StoredRows>(format, numbers.view()));
      return stored.back()->rows();
    };
    std::vector<Task> tasks, reference_tasks;
    for (size_t head = 0; head < tested->size(); ++head) {
      const Rows &keys = rows(), &values = rows();
      tasks.push_back((*tested)[head].Insert(keys, values));
      reference_tasks.push_back((*expected)[head].Insert(keys, values));
    }
    insert(tasks, reference_tasks);
    for (size_t head = 0; head < tested->size(); ++head) {
      SCOPED_TRACE(testing::Message() << "head " << head << " after "
                                      << (*tested)[head].entered << " tokens");
      ASSERT_NO_FATAL_FAILURE((*tested)[head].ExpectAs((*expected)[head]));
    }
  }
}

}  // namespace subgen
