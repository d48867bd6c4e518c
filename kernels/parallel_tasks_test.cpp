// SPDX-License-Identifier: Apache-2.0
#include "kernels/parallel_tasks.h"

#include <dlfcn.h>

#include <testing/catch.h>
#include <atomic>

namespace remeasure::kernels {

TEST_CASE("a task holds OpenMP to one thread, which its sources needn't have been compiled with", "[cpu]") {
  // What Eigen asks, where it was compiled with OpenMP.
  const auto team = reinterpret_cast<int (*)()>(::dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  if (team == nullptr) SKIP_TEST("no OpenMP in this program");
  const int before = team();
  std::atomic<int> tasks{0}, alone{0};
  for_each_row_block(4, 1, 2, [&](int, int, int) {
    ++tasks;
    if (team() == 1) ++alone;
  });
  CHECK(tasks == 4);
  CHECK(alone == 4);
  CHECK(team() == before);
}

}  // namespace remeasure::kernels
