// SPDX-License-Identifier: Apache-2.0
//
// Spiking layers as frameworks run them: integrate-and-fire by a loop over time steps of whole-batch
// operations, and the linear membrane by Fourier transforms. Shapes as in kernels/spiking/membrane.h.
#pragma once

#include <memory>
#include <span>

#include "kernels/device/device.h"
#include "kernels/spiking/membrane.h"

namespace remeasure::baselines {

using kernels::Decay;
using kernels::SpikingShape;

/// Eigen: a step at a time over [batch, neurons], the batch split over `threads` (0 = all cores). Spikes are
/// 0 or 1. Throws std::invalid_argument for sizes that don't fit.
void lif_steps_eigen(const SpikingShape& shape, const Decay& decay, float threshold,
                     std::span<const float> current, std::span<float> membrane, std::span<float> spikes,
                     int threads = 0);

/// cuBLAS: per step two Sgeam for the linear parts and a kernel that fires and resets, 3 T launches; backward
/// 2 T. Throws DeviceError where cuBLAS fails.
class CublasLifSteps {
 public:
  CublasLifSteps(Stream<Cuda>& stream, const SpikingShape& shape, const Decay& decay, float threshold);
  ~CublasLifSteps();
  /// current, membrane, spikes: [batch, steps, neurons]
  void forward(DeviceSpan<Cuda, const float> current, DeviceSpan<Cuda, float> membrane,
               DeviceSpan<Cuda, float> spikes);
  void backward(DeviceSpan<Cuda, const float> membrane, DeviceSpan<Cuda, const float> spike_gradient,
                DeviceSpan<Cuda, float> current_gradient);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// cuFFT: the membrane of spsn_membrane by real transforms of length 2 * steps, the response transformed in
/// advance. Throws DeviceError where cuFFT fails.
class CufftMembrane {
 public:
  CufftMembrane(Stream<Cuda>& stream, const SpikingShape& shape, const Decay& decay);
  ~CufftMembrane();
  /// current, membrane: [batch, steps, neurons]
  void operator()(DeviceSpan<Cuda, const float> current, DeviceSpan<Cuda, float> membrane);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
