// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "reports/record.h"

namespace remeasure::bench {

/// Where a running case says what it does. Called from the thread that runs the case; every call returns at
/// once.
class Progress {
 public:
  virtual ~Progress() = default;
  /// A phase of the case that isn't a variant: "data attention_inputs", "oracle out", "ceilings".
  virtual void phase(const std::string& what) { static_cast<void>(what); }
  /// Every variant that the case declares, selected or not, before anything is measured.
  virtual void variant_declared(const std::string& variant, reports::Where where) {
    static_cast<void>(variant), static_cast<void>(where);
  }
  /// Set-up and check of one variant begin.
  virtual void variant_started(const std::string& variant, reports::Where where) {
    static_cast<void>(variant), static_cast<void>(where);
  }
  /// After each round of samples.
  virtual void sampled(const std::string& variant, std::size_t samples, double median_seconds) {
    static_cast<void>(variant), static_cast<void>(samples), static_cast<void>(median_seconds);
  }
  /// Status, accuracy and time are final.
  virtual void variant_finished(const reports::VariantResult& result) { static_cast<void>(result); }
};

}  // namespace remeasure::bench
