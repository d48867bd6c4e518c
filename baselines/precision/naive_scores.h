// SPDX-License-Identifier: Apache-2.0
//
// Calibration as it is usually written: for every candidate quantise the whole operand, multiply, compare.
// The product of each candidate goes through memory.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/precision/candidate_scores.h"
#include "kernels/precision/quantized_layer.h"

namespace remeasure::baselines {

/// As kernels::candidate_scores_reference<float> with the Hessian-guided metric, by Eigen on whole matrices;
/// candidates run on all cores.
std::vector<float> naive_scores_eigen(const kernels::LayerProduct& layer, kernels::Operand varied,
                                      std::span<const float> fixed_values,
                                      std::span<const kernels::TwinQuantizer<float>> candidates,
                                      int first = 0, int count = 0);

/// On a GPU: per candidate a kernel that quantises, cublasLt's int8 product (one per plane) at its best
/// setting, a kernel that compares, and one that sums up. Only where the CUDA toolkit is.
class CublasNaiveScores {
 public:
  /// `quantizers` are the pass's candidates on the host. The fixed operand is copied once, with its rows
  /// padded to what int8 products take.
  CublasNaiveScores(Stream<Cuda>& stream, const kernels::ScorePass<Cuda>& pass,
                    std::vector<kernels::TwinQuantizer<float>> quantizers);
  ~CublasNaiveScores();
  void operator()();
  const std::string& setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
