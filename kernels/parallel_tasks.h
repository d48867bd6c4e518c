// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace remeasure::kernels {

/// While it lives, products of Eigen on this thread stay on it. In a thread that isn't OpenMP's each of them
/// would begin a team of its own: threads of threads, which on small matrices cost more than the product.
/// Defined in one place for all: of a product that some sources compile with OpenMP and some without, the
/// linker keeps either.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// Calls body(matrix, first row, rows) for blocks of rows that cover all rows of all matrices, on `threads`
/// CPU threads (0 = all). A block is a whole matrix where there are matrices enough for the threads. The
/// first exception is rethrown.
template <class Body>
void for_each_row_block(int matrices, int rows, int threads, Body body) {
  if (threads <= 0) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int blocks_wanted = std::max(1, (threads + matrices - 1) / std::max(1, matrices));
  const int block_rows = std::max(1, (rows + blocks_wanted - 1) / blocks_wanted);
  const int blocks = (rows + block_rows - 1) / block_rows;
  const int tasks = matrices * blocks;
  std::atomic<int> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    const OneThread alone;
    for (int task = next.fetch_add(1); task < tasks; task = next.fetch_add(1)) {
      try {
        const int first = task % blocks * block_rows;
        body(task / blocks, first, std::min(block_rows, rows - first));
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
        next = tasks;
      }
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < std::min(threads, tasks); ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace remeasure::kernels
