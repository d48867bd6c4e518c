// SPDX-License-Identifier: Apache-2.0
#include "experiments/vocabulary.h"

#include <fmt/format.h>

#include <utility>

namespace remeasure::experiments {

VariantInfo VariantsOnDevice::operator()(std::string name, std::string what, std::string dtype,
                                         std::vector<Accept> accept, Work work) const {
  return {
      .name = std::move(name),
      .what = std::move(what),
      .dtype = std::move(dtype),
      .accept = std::move(accept),
      .work = std::move(work),
      .simt = simt,
      .simt_left_out = fmt::format("too many {} for the SIMT engine; checked at the smaller sizes", too_many),
      .quote = quote,
      .explain_speedup = explain_speedup};
}

}  // namespace remeasure::experiments
