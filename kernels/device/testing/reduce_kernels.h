// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// out[2 t] = row_sum and out[2 t + 1] = row_max of values over the rows that `row_threads` (4, 32, 64 or
/// 256) neighbouring threads hold; one block of values.size() threads.
template <class Target>
void reduce_rows(Stream<Target>&, int row_threads, DeviceSpan<Target, const float> values,
                 DeviceSpan<Target, float> out);

/// values[t][0..2] belong to column t % columns. sums and maxima: [3][columns]; one block of `threads`.
inline constexpr int kColumnValues = 3;
template <class Target>
void reduce_columns(Stream<Target>&, int threads, int columns, DeviceSpan<Target, const float> values,
                    DeviceSpan<Target, float> sums, DeviceSpan<Target, float> maxima);

}  // namespace remeasure::kernels
