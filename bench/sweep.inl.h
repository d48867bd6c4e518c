// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/experiment.h"

namespace remeasure::bench {
namespace detail {

template <class Make>
void sweep_into(std::vector<CaseDefinition>& out, const Make& make) {
  out.push_back(make());
}

template <class Make, class First, class... Rest>
void sweep_into(std::vector<CaseDefinition>& out, const Make& make, const std::vector<First>& first,
                const std::vector<Rest>&... rest) {
  for (const auto& value : first) {
    sweep_into(
        out, [&](const auto&... others) { return make(value, others...); }, rest...);
  }
}

}  // namespace detail

template <class Make, class... Values>
std::vector<CaseDefinition> sweep(Make make, const std::vector<Values>&... axes) {
  std::vector<CaseDefinition> out;
  detail::sweep_into(out, make, axes...);
  return out;
}

}  // namespace remeasure::bench
