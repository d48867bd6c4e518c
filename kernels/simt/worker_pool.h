// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace remeasure::simt {

/// CPU threads that wait for work. The caller takes part as number 0, so a pool of one has no threads.
class WorkerPool {
 public:
  explicit WorkerPool(int workers);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }
  /// task(context, worker) on all workers; returns when all have returned. The task must not throw.
  void run(void (*task)(void* context, int worker), void* context);

 private:
  void work(int worker);

  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  // Changed under the mutex; atomic so that a short look can replace a sleep.
  std::atomic<std::uint64_t> round_{0};
  std::atomic<int> busy_{0};
  bool closing_ = false;
  void (*task_)(void*, int) = nullptr;
  void* context_ = nullptr;
  std::vector<std::thread> threads_;
};

}  // namespace remeasure::simt
