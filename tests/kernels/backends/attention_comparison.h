// These compare attention of a backend with the reference, within what it may
// round.
#pragma once

#include "tests/kernels/backends/attention_case.h"
#include "tests/kernels/backends/backend_case.h"

namespace subgen {

class AttentionComparison : public BackendTest {
 protected:
  void ExpectEqual(AttentionCase& c) {
    PartialsBuffer actual = c.EmptyPartials(), expected = c.EmptyPartials();
    PartialsBuffer magnitudes = c.EmptyPartials();
    tested_->Attend({{c.Task(actual.view())}});
    reference_->Attend({{c.Task(expected.view())}});
    reference_->Attend({{c.TaskOfMagnitudes(magnitudes.view())}});
    ExpectPartialsNear(actual.view(), expected.view(), magnitudes.view(),
                       ErrorOf(c), OfPartition(c));
  }
  // Compares sets of rows of the same queries in one list, with others between;
  // `many` gives the queries.
  void ExpectMerged(AttentionCase& many, AttentionCase& few,
                    AttentionCase& others) {
    AttentionCase none(
        {.tokens = many.tokens(),
         .group = static_cast<int>(many.queries() / many.tokens()),
         .rows = 0,
         .dim = many.dim()});
    few.TakeQueriesFrom(many);
    none.TakeQueriesFrom(many);
    PartialsBuffer actual = many.EmptyPartials(),
                   expected = many.EmptyPartials();
    PartialsBuffer magnitudes = many.EmptyPartials();
    PartialsBuffer apart = others.EmptyPartials();
    tested_->Attend({{few.Task(actual.view()), others.Task(apart.view()),
                      none.Task(actual.view()), many.Task(actual.view())}});
    reference_->Attend(
        {{few.Task(expected.view()), many.Task(expected.view())}});
    reference_->Attend({{few.TaskOfMagnitudes(magnitudes.view()),
                         many.TaskOfMagnitudes(magnitudes.view())}});
    ExpectPartialsNear(actual.view(), expected.view(), magnitudes.view(),
                       ErrorOf(many) + few.RelativeError(), OfPartition(many));
  }
  double ErrorOf(AttentionCase& c) {
    switch (Rounding(c)) {
      case AttentionRounding::kTo16Bits:
        return c.RelativeError() + c.RoundingOfLogits();
      case AttentionRounding::kToBF16:
        return c.RelativeError() + c.RoundingToBF16();
      default:
        return c.RelativeError();
    }
  }

 private:
  AttentionRounding Rounding(AttentionCase& c) {
    PartialsBuffer none = c.EmptyPartials();
    return GetParam().attention_rounding(c.Task(none.view()));
  }
  double OfPartition(AttentionCase& c) {
    return Rounding(c) == AttentionRounding::kTo16Bits ? c.RoundingOfValues()
                                                       : 0.0;
  }
};

}  // namespace subgen
