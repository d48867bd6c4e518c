// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/progress.h"

#include <testing/catch.h>

using namespace remeasure::bench::runner;

TEST_CASE("durations read like a clock", "[cpu]") {
  CHECK(format_duration(0) == "0 ms");
  CHECK(format_duration(0.0123) == "12 ms");
  CHECK(format_duration(0.9999) == "1.0 s");
  CHECK(format_duration(12.34) == "12.3 s");
  CHECK(format_duration(59.96) == "1 min 00 s");
  CHECK(format_duration(245) == "4 min 05 s");
  CHECK(format_duration(7380) == "2 h 03 min");
  CHECK(format_duration(-1) == "?");
  CHECK(format_duration(1e300).size() < 40);
}

TEST_CASE("what is wrong stands first in a tally", "[cpu]") {
  CHECK(format_tally({}) == "no variants");
  CHECK(format_tally({.passed = 3, .not_run = 1}) == "3 passed, 1 not run");
  CHECK(format_tally({.passed = 3, .incorrect = 1, .failed = 2, .failed_checks = 1}) ==
        "1 INCORRECT, 2 failed, 1 check doesn't hold, 3 passed");
}

TEST_CASE("the progress line says where, what, how long", "[cpu]") {
  ProgressState state{.experiment = 2,
                      .experiments = 3,
                      .id = "dfss",
                      .case_index = 4,
                      .cases = 12,
                      .case_name = "n=512",
                      .phase = "kernel (simt)",
                      .elapsed = 12.3,
                      .remaining = 40};
  CHECK(progress_line(state, 200) ==
        "[2/3] dfss · case 4/12 n=512 · kernel (simt) · 12.3 s · about 40.0 s left");
  CHECK(progress_line(state, 200, false) ==
        "[2/3] dfss | case 4/12 n=512 | kernel (simt) | 12.3 s | about 40.0 s left");
  state.remaining.reset();
  state.cases = 0;
  state.case_name.clear();
  state.phase.clear();
  CHECK(progress_line(state, 200) == "[2/3] dfss · 12.3 s");
}

TEST_CASE("the progress line never exceeds the terminal, and keeps position and time longest", "[cpu]") {
  const ProgressState state{.experiment = 2,
                            .experiments = 3,
                            .id = "dfss",
                            .case_index = 4,
                            .cases = 12,
                            .case_name = "batch=16 heads=12 n=4096 pattern=2:4 dtype=bf16",
                            .phase = "dataset attention_inputs",
                            .elapsed = 12.3,
                            .remaining = 40};
  for (std::size_t width = 0; width < 150; ++width) {
    const std::string line = progress_line(state, width, false);
    INFO(width << ": " << line);
    CHECK(line.size() <= width);
    if (width >= 60) {
      CHECK(line.find("case 4/12") != std::string::npos);
      CHECK(line.find("left") != std::string::npos);
    }
  }
  const std::string unicode = progress_line(state, 79, true);
  std::size_t columns = 0;
  for (const char c : unicode) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  CHECK(columns <= 79);
}

TEST_CASE("the estimate uses earlier times, then finished cases, then nothing", "[cpu]") {
  Estimator estimator({"a", "b"});
  const auto at = [](const char* name, double elapsed, std::int64_t done, std::int64_t total,
                     double done_seconds) {
    return Estimator::Position{name, elapsed, done, total, done_seconds};
  };
  CHECK_FALSE(estimator.remaining(at("a", 1, 0, 4, 0)));
  CHECK_FALSE(estimator.remaining(at("a", 2, 1, 4, 2)));  // b is unknown
  estimator.expect("b", 10);
  CHECK(estimator.remaining(at("a", 2, 1, 4, 2)) == 2.0 * 3 + 10);
  CHECK(estimator.remaining(at("a", 3, 1, 4, 2)) == 2.0 * 4 - 3 + 10);
  CHECK(estimator.remaining(at("a", 100, 1, 4, 2)) == 10.0);  // a slow case doesn't make the others slower
  estimator.expect("a", 5);
  CHECK(estimator.remaining(at("a", 2, 0, 4, 0)) == 3.0 + 10);
  CHECK(estimator.remaining(at("a", 8, 2, 4, 8)) == 8.0 + 10);  // longer than expected: the cases decide
  estimator.finished("a", 9);
  CHECK(estimator.remaining(at("b", 4, 0, 2, 0)) == 6.0);
  Estimator unknown({"a", "b", "c"});
  unknown.finished("a", 4);
  CHECK(unknown.remaining(at("b", 1, 0, 2, 0)) == 3.0 + 4.0);
  CHECK_FALSE(unknown.remaining(at("elsewhere", 1, 0, 2, 0)));
}

TEST_CASE("under a budget the line says what is left of it", "[cpu]") {
  ProgressState state{.experiment = 1,
                      .experiments = 2,
                      .id = "dfss",
                      .case_index = 1,
                      .cases = 3,
                      .elapsed = 75,
                      .remaining = 10,
                      .budget_left = 405};
  const auto line = progress_line(state, 200, false);
  CHECK(line.find("| 6 min 45 s of the budget left") != std::string::npos);
  CHECK(line.find("about") == std::string::npos);
}
