// SPDX-License-Identifier: Apache-2.0
#include "kernels/parallel_tasks.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace remeasure::kernels {

#ifdef _OPENMP
OneThread::OneThread() : before_(omp_get_max_threads()) {
  omp_set_num_threads(1);
}
OneThread::~OneThread() {
  omp_set_num_threads(before_);
}
#else
OneThread::OneThread() : before_(1) {}
OneThread::~OneThread() {
  static_cast<void>(before_);
}
#endif

}  // namespace remeasure::kernels
