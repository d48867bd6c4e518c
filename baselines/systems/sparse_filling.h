// SPDX-License-Identifier: Apache-2.0
//
// Max-min fair rates by sparse algebra: what a user of a library writes instead of a kernel. The incidence
// matrix A [links, flows] is 0 or 1; flows lie rail by rail, so that the rails of all trials are its diagonal
// blocks, each with rounds of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/systems/traffic_plan.h"

namespace remeasure::baselines {

/// A 0/1 matrix by rows.
struct Incidence {
  int rows = 0, columns = 0;
  std::vector<std::int32_t> row_pointers = {0}, column_indices = {};
};

/// A^T: the links of each flow [trials, rails, pairs, qps].  paths: [trials, flows] codes in the order of
/// planning
Incidence flow_links(const kernels::Traffic& traffic, std::span<const std::uint16_t> paths, int trials);
Incidence transposed(const Incidence& matrix);

/// Eigen: paths, matrix and rounds of each trial by SparseMatrix<double, RowMajor> products; trials dealt out
/// to the cores. Results as ecmp_trials.
void eigen_filling(const kernels::Traffic& traffic, kernels::Routing routing,
                   std::span<const std::uint16_t> plan, std::uint32_t seed, int trials,
                   std::span<std::uint32_t> even, std::span<std::uint32_t> weighted);

/// cuSPARSE: all trials at once, three cusparseSpMV a round (f32 for counts, f64 for rates), the fastest of
/// its algorithms. The matrices are made in advance. The first call tries the algorithms and counts the
/// rounds: make it before anything is timed.
class CusparseFilling {
 public:
  CusparseFilling(Stream<Cuda>& stream, const kernels::Traffic& traffic, std::span<const std::uint16_t> paths,
                  int trials);
  ~CusparseFilling();
  void operator()(DeviceSpan<Cuda, std::uint32_t> even, DeviceSpan<Cuda, std::uint32_t> weighted);
  const std::string& setting() const;  ///< empty before the first call

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
