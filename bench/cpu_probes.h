// SPDX-License-Identifier: Apache-2.0
//
// Loops whose speed is a ceiling of the CPU. Each is the sum over the cores of what a core did at its best.
#pragma once

#include <cstddef>

namespace remeasure::bench {

/// a[i] = b[i] + s c[i] (McCalpin's STREAM): bytes/s, 24 an element, write-allocate traffic not counted.
double triad_bandwidth(int threads, std::size_t bytes_per_thread);

/// Sum of an array: bytes/s.
double read_bandwidth(int threads, std::size_t bytes_per_thread);

/// Independent multiply-adds in registers: flop/s. T: float, double.
template <class T>
double fma_rate(int threads);

/// Eigen's matrix product on all cores, the rate that a dense Eigen baseline can hope for: flop/s. T: float,
/// double.
template <class T>
double gemm_rate();

}  // namespace remeasure::bench
