// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/worker_pool.h"

#include <testing/catch.h>

#include <array>

using remeasure::simt::WorkerPool;

TEST_CASE("every round runs on every worker once and ends before the call returns", "[cpu]") {
  for (const int workers : {1, 2, 5}) {
    WorkerPool pool(workers);
    REQUIRE(pool.size() == workers);
    std::array<int, 5>
        runs{};  // not atomic: each worker has its own, and run() must order them with this thread
    for (int round = 1; round <= 3000; ++round) {
      pool.run(
          [](void* context, int worker) {
            ++(*static_cast<std::array<int, 5>*>(context))[static_cast<std::size_t>(worker)];
          },
          &runs);
      for (int worker = 0; worker < 5; ++worker) {
        REQUIRE(runs[static_cast<std::size_t>(worker)] == (worker < workers ? round : 0));
      }
    }
  }
}
