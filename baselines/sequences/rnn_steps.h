// SPDX-License-Identifier: Apache-2.0
//
// Recurrent layers as libraries run them: a step at a time by Eigen, cuBLAS's products for the alternating
// and vanilla kernels, and cuDNN's own RNN. Shapes as in kernels/sequences/rnn.h.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "baselines/matmul/without_cudnn.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/sequences/rnn_alternating.h"

namespace remeasure::baselines {

using kernels::RnnShape;

/// Eigen: per step a matrix product for each head and array operations for the gates, all heads before the
/// next step; heads, and the batch where heads are few, split over `threads` (0 = all cores). f32, all cells.
/// Throws std::invalid_argument for sizes that don't fit.
void rnn_steps_eigen(const RnnShape& shape, std::span<const float> wx, std::span<const float> weights,
                     std::span<const float> bias, std::span<const float> first, std::span<float> states,
                     int threads = 0);

/// cuBLAS: the products of all heads as one strided batch, by cublasLt's fastest algorithm. Element:
/// bfloat16, float. Throws DeviceError where cuBLAS fails.
template <class Element>
class CublasRnnProducts : public kernels::RnnProducts<Cuda, Element> {
 public:
  CublasRnnProducts(Stream<Cuda>& stream, const RnnShape& shape, DeviceSpan<Cuda, const Element> weights,
                    std::size_t head_stride);
  ~CublasRnnProducts() override;
  void forward(const Element* h, Element* products) override;
  void backward(const Element* dproducts, Element* dh) override;
  void weights(const Element* dproducts, const Element* h, Element* dweights) override;
  std::string setting() const;  ///< of the forward product

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// cuDNN's RNN for an LSTM of one head (N = 1), bf16, its linear layer W x included as in every framework.
/// Only where the toolkit is.
class CudnnLstm {
 public:
  /// Why it can't be used here, see baselines/matmul/without_cudnn.h; empty if it can.
  static std::string why_not() { return without_cudnn(); }

  /// `input` W: [4, dim, dim], `weights` R: [1, 4, dim, dim], `bias` [4, dim] on the host. `training`:
  /// forward keeps what backward needs. Throws DeviceError if cuDNN takes no algorithm.
  CudnnLstm(Stream<Cuda>& stream, const RnnShape& shape, std::span<const float> input,
            std::span<const float> weights, std::span<const float> bias, bool training);
  ~CudnnLstm();
  CudnnLstm(const CudnnLstm&) = delete;
  CudnnLstm& operator=(const CudnnLstm&) = delete;

  /// x, hidden: [steps, batch, dim]; h0, c0: [batch, dim]. The first call tries the standard and the
  /// persistent algorithms and keeps the fastest: make it once before anything is timed.
  void forward(DeviceSpan<Cuda, const bfloat16> x, DeviceSpan<Cuda, const bfloat16> h0,
               DeviceSpan<Cuda, const bfloat16> c0, DeviceSpan<Cuda, bfloat16> hidden);
  /// After forward() on the same arrays: gradients of x, and of all weights (in cuDNN's order, inside).
  void backward(DeviceSpan<Cuda, const bfloat16> x, DeviceSpan<Cuda, const bfloat16> h0,
                DeviceSpan<Cuda, const bfloat16> c0, DeviceSpan<Cuda, const bfloat16> hidden,
                DeviceSpan<Cuda, const bfloat16> dhidden, DeviceSpan<Cuda, bfloat16> dx);
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
