// SPDX-License-Identifier: Apache-2.0
#include "bench/experiment.h"

namespace remeasure::bench {

std::string to_string(const CaseName& name) {
  std::string text;
  for (const auto& [key, value] : name) {
    if (!text.empty()) text += ' ';
    text += key + "=" + value;
  }
  return text;
}

const char* to_string(Size size) {
  return size == Size::smoke ? "smoke" : "paper";
}

}  // namespace remeasure::bench
