// SPDX-License-Identifier: Apache-2.0
#include "datasets/systems/collective_delays.h"

#include <testing/catch.h>
#include <algorithm>
#include <cmath>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using remeasure::datasets::testing::message_of;
using remeasure::datasets::testing::TemporaryFolder;

namespace {

CollectiveDelays delays(int ranks, int windows, double factor, const std::string& pattern,
                        std::uint64_t seed = 1) {
  const TemporaryFolder folder;
  Store store(folder.path());
  const Opened opened =
      store.open(collective_delays_definition, collective_delays(ranks, windows, 16, factor, pattern, seed));
  return read_collective_delays(*opened.reader);
}

/// Mean delay over the collectives of a window.
double mean_delay(const CollectiveDelays& d, std::size_t window, std::size_t source,
                  std::size_t destination) {
  const auto ranks = static_cast<std::size_t>(d.ranks), collectives = static_cast<std::size_t>(d.collectives);
  double sum = 0;
  for (std::size_t k = 0; k < collectives; ++k) {
    sum += static_cast<double>(d.delay[((window * collectives + k) * ranks + source) * ranks + destination]);
  }
  return sum / static_cast<double>(collectives);
}

}  // namespace

TEST_CASE("delays without a fault have the stated law", "[cpu]") {
  const CollectiveDelays d = delays(16, 20, 1, "all");
  std::vector<double> logs;
  double congested = 0;
  for (std::size_t i = 0; i < d.delay.size(); ++i) {
    if (i / 16 % 16 == i % 16) {
      REQUIRE(d.delay[i] == 0);
    } else {
      logs.push_back(std::log(static_cast<double>(d.delay[i]) / 20));
      congested += logs.back() > 4.5 * 0.15 ? 1 : 0;
    }
  }
  std::sort(logs.begin(), logs.end());
  const auto at = [&](double part) {
    return logs[static_cast<std::size_t>(part * static_cast<double>(logs.size()))];
  };
  CHECK(std::abs(at(0.5)) < 0.02);                  // median 20 us, a little more for the congested
  CHECK(std::abs(at(0.1) + 1.2816 * 0.15) < 0.03);  // lognormal below
  CHECK(congested / static_cast<double>(logs.size()) > 0.005);  // 4.5 sigma without congestion: 3e-6
  for (std::size_t w = 0; w < 20; ++w) CHECK(d.truth[3 * w] == 0);
  for (std::size_t i = 0; i < d.wait.size(); i += 16)
    CHECK(*std::min_element(&d.wait[i], &d.wait[i] + 16) == 0);
}

TEST_CASE("a planted fault is where the truth says, and as large", "[cpu]") {
  const CollectiveDelays d = delays(16, 70, 3, "all");
  for (std::size_t w = 0; w < 70; ++w) {
    const std::int32_t fault = d.truth[3 * w], source = d.truth[3 * w + 1], destination = d.truth[3 * w + 2];
    INFO("window " << w);
    CHECK(fault == static_cast<std::int32_t>(w % 7));
    for (std::size_t s = 0; s < 16; ++s) {
      for (std::size_t t = 0; t < 16; ++t) {
        if (s == t) continue;
        const bool hit = (fault == 6 || (fault >= 1 && fault <= 3)) &&
                         (source < 0 || source == static_cast<int>(s)) &&
                         (destination < 0 || destination == static_cast<int>(t));
        const double mean = mean_delay(d, w, s, t);
        REQUIRE((hit ? mean > 2.4 * 20 && mean < 13 * 20 : mean < 1.7 * 20));
      }
    }
    const std::int32_t* entered = &d.entered[(w * 16 + 15) * 16];
    const std::int32_t* finished = &d.finished[(w * 16 + 15) * 16];
    const auto [low, high] = std::minmax_element(entered, entered + 16);
    if (fault < 5) CHECK(*high == 1015);
    if (fault == 5) CHECK((*high <= 1008 && entered[source] == *high - 1));
    if (fault == 6)
      CHECK((*high <= 1008 && *low == *high && *std::min_element(finished, finished + 16) == *high - 1));
    if (fault == 4) CHECK(d.wait[w * 256 + static_cast<std::size_t>(source)] == 0);
  }
}

TEST_CASE("a ring has one transfer a rank, and its slow ranks are slow links", "[cpu]") {
  const CollectiveDelays d = delays(8, 14, 3, "ring", 2);
  for (std::size_t i = 0; i < d.delay.size(); ++i) REQUIRE((d.delay[i] > 0) == (i % 8 == (i / 8 + 1) % 8));
  for (std::size_t w = 0; w < 14; ++w) {
    CHECK((d.truth[3 * w] == 0 || d.truth[3 * w] >= 3));
    if (d.truth[3 * w] == 3) CHECK(d.truth[3 * w + 2] == (d.truth[3 * w + 1] + 1) % 8);
  }
}

TEST_CASE("delays that can't be are refused", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto message = [&](const Parameters& p) {
    return message_of([&] { store.make(collective_delays_definition, p); });
  };
  CHECK(message(collective_delays(2, 1, 16, 3, "all", 1)).find("2 ranks") != std::string::npos);
  CHECK(message(collective_delays(8, 1, 16, 0.5, "all", 1)).find("factor 0.5") != std::string::npos);
  CHECK(message(collective_delays(8, 1, 16, 3, "tree", 1)).find("there are all and ring") !=
        std::string::npos);
}
