// SPDX-License-Identifier: Apache-2.0
//
// The single-operation form of attention exists since cuDNN 9.13.1 (as the frontend's UnifiedSDPANode uses
// it, node/scaled_dot_product_flash_attention.h).
#include "baselines/attention/fused_attention_cudnn.h"

#include <fmt/format.h>

#ifdef REMEASURE_HAS_CUDNN
#include "baselines/matmul/cudnn_graph.h"
#endif

namespace remeasure::baselines {

#if defined(REMEASURE_HAS_CUDNN) && CUDNN_VERSION >= 91301

namespace {

enum TensorId : std::int64_t { query_id = 1, key_id, value_id, out_id, scale_id };

cudnn::Descriptor tensor(TensorId id, const kernels::AttentionShape& shape) {
  const std::int64_t b = shape.batch, h = shape.heads, n = shape.tokens, d = shape.dim;
  return cudnn::descriptor_of(
      {.id = id, .type = CUDNN_DATA_BFLOAT16, .extents = {b, h, n, d}, .strides = {h * n * d, n * d, d, 1}},
      "a tensor of attention");
}

/// The scale, a number that the host passes with each call.
cudnn::Descriptor scalar(TensorId id) {
  return cudnn::descriptor_of({.id = id, .extents = {1, 1, 1, 1}, .strides = {1, 1, 1, 1}, .by_value = true},
                              "the scale of attention");
}

}  // namespace

struct FusedAttentionCudnn::State {
  State(Stream<Cuda>& stream, const kernels::AttentionShape& shape, float scale_)
      : scale(scale_),
        plans(stream, fmt::format("attention with batch {}, heads {}, tokens {}, dim {}", shape.batch,
                                  shape.heads, shape.tokens, shape.dim)) {
    const cudnn::Descriptor query = tensor(query_id, shape), key = tensor(key_id, shape),
                            value = tensor(value_id, shape), out = tensor(out_id, shape),
                            factor = scalar(scale_id);
    cudnn::Descriptor attention(CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, query)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, key)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, value)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, out)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, factor)
        .finalize("the attention operation");
    plans.make({&attention});
  }

  float scale;
  cudnn::Plans plans;
};

FusedAttentionCudnn::FusedAttentionCudnn(Stream<Cuda>& stream, const kernels::AttentionShape& shape,
                                         float scale)
    : state_(std::make_unique<State>(stream, shape, scale)) {}

void FusedAttentionCudnn::run(DeviceSpan<Cuda, const bfloat16> query, DeviceSpan<Cuda, const bfloat16> key,
                              DeviceSpan<Cuda, const bfloat16> value, DeviceSpan<Cuda, bfloat16> out) {
  const auto device = [](const bfloat16* pointer) {
    return const_cast<void*>(static_cast<const void*>(pointer));
  };
  state_->plans.run(
      {query_id, key_id, value_id, out_id, scale_id},
      {device(query.data()), device(key.data()), device(value.data()), out.data(), &state_->scale});
}

std::string FusedAttentionCudnn::setting() const {
  return state_->plans.setting();
}

#else  // no cuDNN, or one too old: the variant says so and isn't run

struct FusedAttentionCudnn::State {};

FusedAttentionCudnn::FusedAttentionCudnn(Stream<Cuda>&, const kernels::AttentionShape&, float) {
  throw DeviceError(why_not());
}

void FusedAttentionCudnn::run(DeviceSpan<Cuda, const bfloat16>, DeviceSpan<Cuda, const bfloat16>,
                              DeviceSpan<Cuda, const bfloat16>, DeviceSpan<Cuda, bfloat16>) {
  throw DeviceError(why_not());
}

std::string FusedAttentionCudnn::setting() const {
  return {};
}

#endif

FusedAttentionCudnn::~FusedAttentionCudnn() = default;

}  // namespace remeasure::baselines
