// Attention of a backend beside the reference, within what it may round.
#pragma once

#include "tests/kernels/attention_case.h"
#include "tests/kernels/backend_case.h"

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
