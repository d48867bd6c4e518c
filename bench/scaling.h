// SPDX-License-Identifier: Apache-2.0
//
// How the time of several methods grows with one size: a plot, an exponent with its error for each, and where
// they cross.
#pragma once

#include <string>
#include <vector>

#include "bench/trial.h"

namespace remeasure::bench {

/// A method of a sweep. Its variants are called by `scaling_variant`.
struct ScalingMethod {
  std::string name;        ///< "fft"
  std::string label = {};  ///< in the plot and the metrics; empty = name
};

struct Scaling {
  std::string title;       ///< of the plot
  std::string symbol;      ///< of the size in the variants' names: "N" -> "fft/N=512"
  std::vector<int> sizes;  ///< at least two, all different
  std::vector<ScalingMethod> methods;
  std::string axis = {};         ///< of the plot; empty = symbol
  std::string exponent_of = {};  ///< in the metrics "exponent of ..."; empty = symbol
  std::string beats =
      {};  ///< a method's name: for every other a metric says the smallest size at which it is faster
  std::string unit = {};  ///< of that size
};

/// "fft/N=512"
std::string scaling_variant(const Scaling&, const std::string& method, int size);

/// After `measure()`, all methods' variants declared at all sizes: the plot "scaling" of the medians; for
/// every method that was timed at all sizes the metric "exponent of N, <label>" (least squares of the
/// logarithms, standard error). A method that wasn't has its points only.
void report_scaling(Trial&, const Scaling&);

}  // namespace remeasure::bench
