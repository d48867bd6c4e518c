// SPDX-License-Identifier: Apache-2.0
#include "kernels/device/warp_host.h"

#include <cstdio>

namespace remeasure::simt_warp {

void fail_unnamed_source(const char* what, int source, const Site& where) {
  char message[160];
  std::snprintf(message, sizeof message,
                "%s reads lane %d, which its mask doesn't name; CUDA leaves the value undefined", what,
                source);
  simt::fail(simt::ErrorKind::warp_mask, message, where);
}

void fail_width(const char* what, int width, const Site& where) {
  char message[160];
  std::snprintf(message, sizeof message, "%s: width %d is not 1, 2, 4, 8, 16 or 32", what, width);
  simt::fail(simt::ErrorKind::device_assert, message, where);
}

}  // namespace remeasure::simt_warp
