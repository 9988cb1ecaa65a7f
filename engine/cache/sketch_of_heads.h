// This is a sketch whose KV heads know nothing of one another. A policy then is
// written for one head, as a class with the methods that are called here. A
// method that a `requires` asks for may be left out.
#pragma once

#include <deque>
#include <vector>

#include "engine/cache/sketch.h"
#include "kernels/base/status_macros.h"

namespace subgen {

// This is what one head must know of where it stands.
struct HeadPlace {
  RowLayout layout;
  int64_t rows = 0;  // that it may hold, until SetLimit
  RandomPlace random;
  Backend* backend = nullptr;
};

template <class Head>
class SketchOfHeads final : public Sketch {
 public:
  // More arguments go to each head's constructor.
  template <class... Arguments>
  explicit SketchOfHeads(const SketchPlace& place, const Arguments&... more) {
    for (int head = 0; head < place.kv_heads(); ++head) {
      heads_.emplace_back(HeadPlace{place.layout, place.rows[head],
                                    place.random(head), place.backend},
                          more...);
    }
  }

  void Insert(Vector<const LeavingTokens> tokens, RowOps& ops) override {
    for (size_t i = 0; i < heads_.size(); ++i) heads_[i].Insert(tokens[i], ops);
  }
  void InsertPrompt(Vector<const LeavingTokens> tokens, RowOps& ops) override {
    if constexpr (requires(Head head) { head.InsertPrompt(tokens[0], ops); }) {
      for (size_t i = 0; i < heads_.size(); ++i) {
        heads_[i].InsertPrompt(tokens[i], ops);
      }
    } else {
      Insert(tokens, ops);
    }
  }
  void SetLimits(Vector<const int64_t> rows, RowOps& ops) override {
    if constexpr (requires(Head head) { head.SetLimit(rows[0], ops); }) {
      for (size_t i = 0; i < heads_.size(); ++i) {
        heads_[i].SetLimit(rows[i], ops);
      }
    } else {
      Sketch::SetLimits(rows, ops);
    }
  }

  void AddRows(int head, std::vector<WeightedRows>* out) const override {
    heads_[head].AddRows(out);
  }
  Vector<float> Scores(int head) override {
    if constexpr (requires(Head each) { each.Scores(); }) {
      return heads_[head].Scores();
    } else {
      return {};
    }
  }
  void Observe(const LayerStep& step, const Chunk& chunk,
               Vector<const float> log_partition) override {
    if constexpr (requires(Head head) {
                    head.Observe(step.queries, log_partition);
                  }) {
      for (size_t i = 0; i < heads_.size(); ++i) {
        const int head = static_cast<int>(i);
        heads_[i].Observe(step.Queries(chunk, head),
                          step.PerQuery(log_partition, chunk, head));
      }
    }
  }

  SketchSize size() const override {
    SketchSize all;
    for (const Head& head : heads_) {
      const SketchSize of_head = head.size();
      all.rows += of_head.rows;
      all.bytes += of_head.bytes;
    }
    return all;
  }
  void Save(ByteWriter* out) const override {
    for (const Head& head : heads_) head.Save(out);
  }
  absl::Status Load(ByteReader* in, int64_t entered) override {
    for (Head& head : heads_) RETURN_IF_ERROR(head.Load(in, entered));
    return absl::OkStatus();
  }

 private:
  std::deque<Head> heads_;  // addresses stay
};

}  // namespace subgen
