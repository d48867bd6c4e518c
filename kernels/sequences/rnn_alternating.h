// SPDX-License-Identifier: Apache-2.0
//
// Recurrent layers a step at a time, for any dim: a matrix product for all heads, then a kernel for the cell
// (FlashRNN's "alternating" kernels), forwards and backwards. Whose product it is, is the caller's choice:
// cuBLAS, or ours here.
#pragma once

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/sequences/rnn.h"

namespace remeasure::kernels {

/// The matrix products of a layer. Per head: products [batch, recurrent * dim], `head_stride` elements from
/// one head to the next; h [batch, heads, dim], dh [heads, batch, dim].
template <class Target, class Element>
class RnnProducts {
 public:
  virtual ~RnnProducts() = default;
  /// products[n] = h[n] R[n]^T
  virtual void forward(const Element* h, Element* products) = 0;
  /// dh[n] = dproducts[n] R[n]
  virtual void backward(const Element* dproducts, Element* dh) = 0;
  /// dweights[n] = sum over steps and batch of dproducts^T h; `dproducts`: [heads, steps, batch, recurrent,
  /// dim], `h`: [steps, batch, heads, dim]
  virtual void weights(const Element* dproducts, const Element* h, Element* dweights) = 0;
};

/// Our own products: by RecurrentTile forwards, plain loops backwards. `weights` as in rnn.h; dim a multiple
/// of 16.
template <class Target, class Element>
class OwnRnnProducts : public RnnProducts<Target, Element> {
 public:
  OwnRnnProducts(Stream<Target>& stream, const RnnShape& shape, DeviceSpan<Target, const Element> weights,
                 std::size_t head_stride);
  void forward(const Element* h, Element* products) override;
  void backward(const Element* dproducts, Element* dh) override;
  void weights(const Element* dproducts, const Element* h, Element* dweights) override;

 private:
  Stream<Target>& stream_;
  RnnShape shape_;
  DeviceSpan<Target, const Element> weights_;
  long long head_stride_;
};

/// What a layer needs beside its arrays.
template <class Target, class Element>
struct RnnWorkspace {
  DeviceSpan<Target, float> running;  ///< [states, batch, heads, dim], f32
  /// R h: of all steps (shape.products_size()) for a backward pass to come, else of one (a steps-th of that).
  DeviceSpan<Target, Element> products;
};

/// Arrays as in rnn.h. Products of `products` have a head stride of the workspace's size / heads.
template <class Target, class Element>
void rnn_alternating(Stream<Target>& stream, const RnnShape& shape, RnnProducts<Target, Element>& products,
                     DeviceSpan<Target, const Element> wx, DeviceSpan<Target, const float> bias,
                     DeviceSpan<Target, const float> first, const RnnWorkspace<Target, Element>& workspace,
                     DeviceSpan<Target, Element> states);

template <class Target, class Element>
struct RnnGradientSpans {
  DeviceSpan<Target, Element> wx, weights;  ///< as the inputs
  DeviceSpan<Target, float> bias, first;
};

/// Gradients of sum(dh * h); `dh` [steps, batch, heads, dim]. `products`: R h of all steps from the forward
/// pass, replaced by their gradients. `previous`: workspace [heads, batch, dim].
template <class Target, class Element>
void rnn_alternating_backward(Stream<Target>& stream, const RnnShape& shape, RnnProducts<Target, Element>& by,
                              DeviceSpan<Target, const Element> wx, DeviceSpan<Target, const float> bias,
                              DeviceSpan<Target, const Element> states, DeviceSpan<Target, const Element> dh,
                              DeviceSpan<Target, Element> products, DeviceSpan<Target, Element> previous,
                              const RnnGradientSpans<Target, Element>& gradients);

}  // namespace remeasure::kernels
