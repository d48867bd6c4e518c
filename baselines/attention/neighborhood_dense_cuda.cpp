// SPDX-License-Identifier: Apache-2.0
#include "baselines/attention/full_attention.h"
#include "baselines/attention/neighborhood_dense.h"

namespace remeasure::baselines {
namespace {

kernels::AttentionShape dense_shape(const NeighborhoodShape& shape) {
  return {shape.batch, shape.heads, static_cast<int>(shape.tokens()), shape.dim};
}

}  // namespace

struct NeighborhoodMaskedCublas::State {
  State(Stream<Cuda>& on, const NeighborhoodShape& of, float scale)
      : stream(on),
        shape(of),
        attention(on, dense_shape(of), scale),
        scores(on.device(), dense_shape(of).scores(), MemoryUse::workspace, "scores") {}

  Stream<Cuda>& stream;
  NeighborhoodShape shape;
  FullAttentionCublas<bfloat16> attention;
  DeviceBuffer<Cuda, bfloat16> scores;
};

NeighborhoodMaskedCublas::NeighborhoodMaskedCublas(Stream<Cuda>& stream, const NeighborhoodShape& shape,
                                                   float scale)
    : state_(std::make_unique<State>(stream, shape, scale)) {}
NeighborhoodMaskedCublas::~NeighborhoodMaskedCublas() = default;

void NeighborhoodMaskedCublas::operator()(DeviceSpan<Cuda, const bfloat16> query,
                                          DeviceSpan<Cuda, const bfloat16> key,
                                          DeviceSpan<Cuda, const bfloat16> value,
                                          DeviceSpan<Cuda, bfloat16> output) {
  State& s = *state_;
  s.attention.scores(query, key, s.scores);
  kernels::mask_dense_scores<Cuda>(s.stream, s.shape, s.scores);
  s.attention.softmax(std::as_const(s.scores).span(), s.scores);
  s.attention.product(std::as_const(s.scores).span(), value, output);
}

std::string NeighborhoodMaskedCublas::setting() const {
  return state_->attention.setting();
}

}  // namespace remeasure::baselines
