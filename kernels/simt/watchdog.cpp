// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/watchdog.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <mutex>

#include "kernels/simt/block_runner.h"

// glibc before 2.38 has the field without its name.
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace remeasure::simt {
namespace {

thread_local BlockRunner* watched = nullptr;

/// One per CPU thread that has run a kernel; made at the first and kept, since launches are short.
class Clock {
 public:
  Clock() {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGVTALRM;
    event.sigev_value.sival_ptr = &watched;
    event.sigev_notify_thread_id = static_cast<pid_t>(syscall(SYS_gettid));
    made_ = timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer_) == 0;
  }
  ~Clock() {
    if (made_) timer_delete(timer_);
  }
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  bool set(double seconds) {
    if (!made_) return false;
    itimerspec period{};
    period.it_value.tv_sec = static_cast<time_t>(seconds);
    period.it_value.tv_nsec =
        static_cast<long>((seconds - static_cast<double>(period.it_value.tv_sec)) * 1e9);
    period.it_interval = period.it_value;
    return timer_settime(timer_, 0, &period, nullptr) == 0;
  }

 private:
  timer_t timer_{};
  bool made_ = false;
};

Clock& clock_of_thread() {
  thread_local Clock clock;
  return clock;
}

// The handler is the process's: the first of several workers installs it and the last one restores.
std::mutex mutex;
int users = 0;
struct sigaction previous;

void handle(int signal, siginfo_t* info, void* context) {
  if (info->si_code == SI_TIMER && info->si_value.sival_ptr == &watched) {
    if (watched != nullptr) watched->on_tick();
  } else if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_IGN && previous.sa_handler != SIG_DFL) {
    previous.sa_handler(signal);
  }
}

}  // namespace

Watchdog::Watchdog(BlockRunner& runner, double limit_seconds) {
  if (!(limit_seconds > 0)) return;
  {
    const std::lock_guard lock(mutex);
    if (users++ == 0) {
      struct sigaction action {};
      action.sa_sigaction = handle;
      // SA_NODEFER: the handler may leave by a jump, which restores no signal mask.
      action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
      sigemptyset(&action.sa_mask);
      sigaction(SIGVTALRM, &action, &previous);
    }
  }
  watched = &runner;
  armed_ = true;
  clock_of_thread().set(limit_seconds / kTicks);
}

Watchdog::~Watchdog() {
  if (!armed_) return;
  clock_of_thread().set(0);
  watched = nullptr;
  const std::lock_guard lock(mutex);
  // A tick that is under way would end the process once SIGVTALRM has its default meaning again, so that is
  // not put back; our handler ignores the tick.
  if (--users == 0 && previous.sa_handler != SIG_DFL) sigaction(SIGVTALRM, &previous, nullptr);
}

}  // namespace remeasure::simt
