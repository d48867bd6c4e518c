// SPDX-License-Identifier: Apache-2.0
#include "experiments/counted_work.h"

#include <testing/catch.h>
#include <algorithm>
#include <cstdio>
#include <string>

#include "bench/counted_work.h"

namespace remeasure::experiments {

void check_counted_work(const char* id) {
  const auto registered = bench::registry();
  const auto found = std::find_if(registered.begin(), registered.end(),
                                  [&](const bench::Registered& it) { return it.experiment->paper.id == id; });
  REQUIRE(found != registered.end());
  const std::vector<bench::CountedVariant> counted = bench::count_work(*found);
  std::fputs(bench::table_of(counted).c_str(), stdout);
  for (const bench::CountedVariant& variant : counted) {
    for (const std::string& disagreement : bench::disagreements(variant))
      FAIL_CHECK(id << ": " << disagreement);
  }
}

}  // namespace remeasure::experiments
