// SPDX-License-Identifier: Apache-2.0
#include "bench/plant.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace remeasure::bench {

std::string plant() {
  const char* text = std::getenv("REMEASURE_PLANT");
  return text == nullptr ? "" : text;
}

double planted_factor(const std::string& text, const std::string& name) {
  if (text.empty()) return 1;
  const std::size_t equals = text.rfind('=');  // names of cases have their own
  double factor = 0;
  if (equals != std::string::npos && equals + 1 < text.size()) {
    char* end = nullptr;
    factor = std::strtod(text.c_str() + equals + 1, &end);
    if (*end != '\0') factor = 0;
  }
  if (!(factor >= 1 && factor <= 10)) {
    throw std::invalid_argument(fmt::format(
        "$REMEASURE_PLANT is '{}'; it takes <experiment>/<case>/<variant>=FACTOR with a factor from 1 to 10",
        text));
  }
  return text.substr(0, equals) == name ? factor : 1;
}

std::function<void()> slowed_down(std::function<void()> work, double factor) {
  if (factor == 1) return work;
  return [work = std::move(work), factor] {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    work();
    const auto end = start + std::chrono::duration_cast<Clock::duration>((Clock::now() - start) * factor);
    while (Clock::now() < end) {
    }
  };
}

}  // namespace remeasure::bench
