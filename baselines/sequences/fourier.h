// SPDX-License-Identifier: Apache-2.0
//
// Batched Fourier transforms of libraries behind one interface: cuFFT on a GPU, Eigen's FFT module on a CPU.
// No scaling in either direction. Complex data are pairs (real, imaginary), sequences lie one after another;
// real sequences have length / 2 + 1 bins.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::baselines {

enum class Fourier {
  complex_to_complex,  ///< forward() and inverse()
  real_to_complex,     ///< forward() only
  complex_to_real,     ///< inverse() only; its input may be overwritten
};

struct FourierShape {
  Fourier kind = Fourier::complex_to_complex;
  std::size_t length = 0;
  std::size_t batch = 0;

  std::size_t bins() const { return kind == Fourier::complex_to_complex ? length : length / 2 + 1; }
  /// Values (floats or halves) of all time sequences and of all spectra.
  std::size_t time_values() const { return batch * length * (kind == Fourier::complex_to_complex ? 2 : 1); }
  std::size_t spectrum_values() const { return 2 * batch * bins(); }
};

/// cuFFT in the precision of Value: float, or half where the length is a power of two. Its workspace is in
/// the ledger. Throws DeviceError where cuFFT fails, std::invalid_argument for a direction or sizes that the
/// shape doesn't have.
template <class Value>
class CufftTransform {
 public:
  CufftTransform(Stream<Cuda>& stream, const FourierShape& shape);
  ~CufftTransform();
  void forward(DeviceSpan<Cuda, Value> time, DeviceSpan<Cuda, Value> spectrum);
  void inverse(DeviceSpan<Cuda, Value> spectrum, DeviceSpan<Cuda, Value> time);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Eigen's FFT module (kissfft) in float, the batch split over `threads` (0 = all cores). Same errors for
/// wrong arguments.
class EigenTransform {
 public:
  explicit EigenTransform(const FourierShape& shape, int threads = 0);
  void forward(std::span<const float> time, std::span<float> spectrum) const;
  void inverse(std::span<const float> spectrum, std::span<float> time) const;

 private:
  FourierShape shape_;
  int threads_;
};

/// Throws std::invalid_argument unless the shape has that direction and the sizes fit.
void check_transform(const char* what, const FourierShape& shape, bool forward, std::size_t time,
                     std::size_t spectrum);

}  // namespace remeasure::baselines
