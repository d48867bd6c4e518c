// SPDX-License-Identifier: Apache-2.0
//
// One epoch of full-batch training of the network 2p -> H -> H -> p (kernels/learning/grokking_network.h) as
// kernels: 10 launches and 1 to 2 of the optimiser. Weights, gradients and moments are flat: first layer [2p,
// H], hidden [H, H], output [p, H].
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "kernels/learning/cross_entropy_rows.h"
#include "kernels/learning/dense_product.h"
#include "kernels/learning/grokking_network.h"
#include "kernels/learning/pair_embedding.h"
#include "kernels/learning/perp_adamw.h"

namespace remeasure::kernels {

struct GrokkingShape {
  int rows = 0, modulus = 0, hidden = 0;

  TensorList tensors() const {
    const int sizes[] = {2 * modulus * hidden, hidden * hidden, modulus * hidden};
    return TensorList(sizes);
  }
  PairShape pairs() const { return {rows, modulus, hidden}; }
  RowLossShape losses() const { return {rows, modulus}; }
  /// Hidden layer, output layer; back to the output weights, the hidden layer, the hidden weights, the first
  /// layer.
  DenseProduct to_hidden() const { return {rows, hidden, hidden, false, true, DenseEpilogue::relu}; }
  DenseProduct to_output() const { return {rows, modulus, hidden, false, true}; }
  DenseProduct by_output() const { return {modulus, hidden, rows, true, false}; }
  DenseProduct from_output() const { return {rows, hidden, modulus, false, false, DenseEpilogue::mask}; }
  DenseProduct by_hidden() const { return {hidden, hidden, rows, true, false}; }
  DenseProduct from_hidden() const { return {rows, hidden, hidden, false, false, DenseEpilogue::mask}; }
};

/// The training rows, on a device.
template <class Target>
struct GrokkingBatch {
  DeviceSpan<Target, const std::uint16_t> pairs, labels;
  DeviceSpan<Target, const std::int32_t> begin, rows;  ///< pair_segments
};

template <class Target>
struct GrokkingOutputs {
  DeviceSpan<Target, float> gradient;  ///< of all weights, before the projection
  DeviceSpan<Target, float> losses;
  DeviceSpan<Target, std::uint32_t> collapsed;
};

template <class Target>
class GrokkingStep {
 public:
  GrokkingStep(Stream<Target>& stream, const GrokkingShape& shape, GrokkingLoss loss,
               const PerpAdamW& optimizer)
      : stream_(stream),
        shape_(shape),
        loss_(loss),
        optimizer_(optimizer),
        tensors_(shape.tensors()),
        first_(buffer<float>(shape.pairs().activations())),
        second_(buffer<float>(shape.pairs().activations())),
        by_first_(buffer<float>(shape.pairs().activations())),
        by_second_(buffer<float>(shape.pairs().activations())),
        logits_(buffer<float>(shape.losses().logits())),
        by_logits_(buffer<float>(shape.losses().logits())),
        parts_(buffer<float>(std::max(
            {dense_workspace(shape.by_output()), dense_workspace(shape.by_hidden()), std::size_t{1}}))),
        partials_(buffer<double>(perp_partials(tensors_))) {}

  /// Step `step`, from 1 on.
  void operator()(int step, const GrokkingBatch<Target>& batch, const AdamWState<Target>& state,
                  const GrokkingOutputs<Target>& out) {
    const auto weights = [&](int tensor) { return part(state.weights, tensor); };
    const auto gradient = [&](int tensor) { return part(out.gradient, tensor); };
    pair_embedding<Target>(stream_, shape_.pairs(), weights(0), batch.pairs, first_);
    dense_product<Target>(stream_, shape_.to_hidden(), first_, weights(1), second_);
    dense_product<Target>(stream_, shape_.to_output(), second_, weights(2), logits_);
    cross_entropy(batch, out);
    dense_product<Target>(stream_, shape_.by_output(), by_logits_, second_, gradient(2), {}, parts_);
    dense_product<Target>(stream_, shape_.from_output(), by_logits_, weights(2), by_second_,
                          std::as_const(second_).span());
    dense_product<Target>(stream_, shape_.by_hidden(), by_second_, first_, gradient(1), {}, parts_);
    dense_product<Target>(stream_, shape_.from_hidden(), by_second_, weights(1), by_first_,
                          std::as_const(first_).span());
    pair_embedding_gradient<Target>(stream_, shape_.pairs(), batch.begin, batch.rows, by_first_, gradient(0));
    perp_adamw<Target>(stream_, tensors_, optimizer_, step, out.gradient, state, partials_);
  }

 private:
  template <class T>
  DeviceBuffer<Target, T> buffer(std::size_t size) {
    return DeviceBuffer<Target, T>(stream_.device(), size, MemoryUse::workspace, "workspace");
  }
  template <class T>
  DeviceSpan<Target, T> part(DeviceSpan<Target, T> flat, int tensor) const {
    return flat.subspan(static_cast<std::size_t>(tensors_.begin[tensor]),
                        static_cast<std::size_t>(tensors_.size(tensor)));
  }
  void cross_entropy(const GrokkingBatch<Target>& batch, const GrokkingOutputs<Target>& out) {
    const auto run = [&]<class Q, RowLoss kLoss>() {
      cross_entropy_rows<Target, Q, kLoss>(stream_, shape_.losses(), logits_, batch.labels, by_logits_,
                                           out.losses, out.collapsed);
    };
    switch (loss_) {
      case GrokkingLoss::ce16:
        return run.template operator()<half, RowLoss::softmax>();
      case GrokkingLoss::ce32:
        return run.template operator()<float, RowLoss::softmax>();
      case GrokkingLoss::ce64:
        return run.template operator()<double, RowLoss::softmax>();
      case GrokkingLoss::stable_max:
        return run.template operator()<double, RowLoss::stable_max>();
    }
  }

  Stream<Target>& stream_;
  GrokkingShape shape_;
  GrokkingLoss loss_;
  PerpAdamW optimizer_;
  TensorList tensors_;
  DeviceBuffer<Target, float> first_, second_, by_first_, by_second_, logits_, by_logits_, parts_;
  DeviceBuffer<Target, double> partials_;
};

/// What a step's launches do; `special` are exponentials and logarithms.
struct GrokkingWork {
  double flops = 0, bytes = 0, special = 0;
};
GrokkingWork grokking_work(const GrokkingShape& shape, GrokkingLoss loss, bool project);

}  // namespace remeasure::kernels
