// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/worker_pool.h"

namespace remeasure::simt {
namespace {

/// Waits some ten microseconds: launches often follow each other at once, and to be woken takes as long as a
/// small launch.
template <class Condition>
void look_for(Condition&& condition) {
  for (int i = 0; i < 500 && !condition(); ++i) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
}

}  // namespace

WorkerPool::WorkerPool(int workers) {
  for (int worker = 1; worker < workers; ++worker) threads_.emplace_back([this, worker] { work(worker); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::run(void (*task)(void*, int), void* context) {
  {
    const std::lock_guard lock(mutex_);
    task_ = task;
    context_ = context;
    busy_ = static_cast<int>(threads_.size());
    ++round_;
  }
  start_.notify_all();
  task(context, 0);
  look_for([this] { return busy_ == 0; });
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return busy_ == 0; });
}

void WorkerPool::work(int worker) {
  std::uint64_t seen = 0;
  for (;;) {
    look_for([&] { return round_ != seen; });
    std::unique_lock lock(mutex_);
    start_.wait(lock, [&] { return closing_ || round_ != seen; });
    if (closing_) return;
    seen = round_;
    const auto task = task_;
    void* context = context_;
    lock.unlock();
    task(context, worker);
    lock.lock();
    if (--busy_ == 0) done_.notify_one();
    lock.unlock();
  }
}

}  // namespace remeasure::simt
