// SPDX-License-Identifier: Apache-2.0
//
// The C backend API of cuDNN, since distributions don't package its C++ frontend: tensors and operations are
// descriptors with attributes; an operation graph goes to the heuristics, which give engine configurations;
// of those that make an execution plan the fastest runs. The single-operation form of attention exists since
// cuDNN 9.13.1 (as the frontend's UnifiedSDPANode uses it, node/scaled_dot_product_flash_attention.h).
#include "baselines/attention/fused_attention_cudnn.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "baselines/matmul/choose.h"
#include "baselines/matmul/launch_time.h"

#ifdef REMEASURE_HAS_CUDNN
#include <cudnn.h>
#include <cudnn_backend.h>
#endif

namespace remeasure::baselines {

#if defined(REMEASURE_HAS_CUDNN) && CUDNN_VERSION >= 91301

namespace {

constexpr std::size_t kFirstVersion = 91301;

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char detail[512] = {};
  cudnnGetLastErrorString(detail, sizeof detail);
  throw DeviceError(fmt::format("cuDNN: {} failed: {} {}", what, cudnnGetErrorString(status), detail));
}

class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check(cudnnBackendCreateDescriptor(type, &descriptor_), "cudnnBackendCreateDescriptor");
  }
  ~Descriptor() {
    if (descriptor_ != nullptr) cudnnBackendDestroyDescriptor(descriptor_);
  }
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                  const std::vector<T>& values) {
    check(cudnnBackendSetAttribute(descriptor_, name, type, static_cast<std::int64_t>(values.size()),
                                   values.data()),
          "cudnnBackendSetAttribute");
    return *this;
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    check(cudnnBackendSetAttribute(descriptor_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.descriptor_),
          "cudnnBackendSetAttribute");
    return *this;
  }
  cudnnStatus_t try_finalize() { return cudnnBackendFinalize(descriptor_); }
  Descriptor& finalize(const char* what) {
    check(try_finalize(), what);
    return *this;
  }
  cudnnBackendDescriptor_t get() const { return descriptor_; }

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

enum TensorId : std::int64_t { query_id = 1, key_id, value_id, out_id, scale_id };

Descriptor tensor(TensorId id, const kernels::AttentionShape& shape) {
  const std::int64_t b = shape.batch, h = shape.heads, n = shape.tokens, d = shape.dim;
  Descriptor result(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  result.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{CUDNN_DATA_BFLOAT16})
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, std::vector<std::int64_t>{b, h, n, d})
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, std::vector<std::int64_t>{h * n * d, n * d, d, 1})
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, std::vector<std::int64_t>{id})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, std::vector<std::int64_t>{16})
      .finalize("a tensor of attention");
  return result;
}

/// The scale, a number that the host passes with each call.
Descriptor scalar(TensorId id) {
  Descriptor result(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  result.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{CUDNN_DATA_FLOAT})
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, std::vector<std::int64_t>{1, 1, 1, 1})
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, std::vector<std::int64_t>{1, 1, 1, 1})
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, std::vector<std::int64_t>{id})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, std::vector<std::int64_t>{4});
  const bool by_value = true;
  check(
      cudnnBackendSetAttribute(result.get(), CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value),
      "cudnnBackendSetAttribute");
  result.finalize("the scale of attention");
  return result;
}

}  // namespace

struct FusedAttentionCudnn::State {
  State(Stream<Cuda>& s, const kernels::AttentionShape& shape, float scale_) : stream(s), scale(scale_) {
    check(cudnnCreate(&handle), "cudnnCreate");
    try {
      check(cudnnSetStream(handle, static_cast<cudaStream_t>(s.native())), "cudnnSetStream");
      make_plans(shape);
    } catch (...) {
      plans.clear();
      cudnnDestroy(handle);
      throw;
    }
  }
  ~State() {
    plans.clear();
    cudnnDestroy(handle);
  }

  Descriptor make_graph(const kernels::AttentionShape& shape) {
    const Descriptor query = tensor(query_id, shape), key = tensor(key_id, shape),
                     value = tensor(value_id, shape), out = tensor(out_id, shape), factor = scalar(scale_id);
    Descriptor attention(CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, query)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, key)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, value)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, out)
        .set(CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, factor)
        .finalize("the attention operation");
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, attention)
        .set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle})
        .finalize("the graph of attention");
    return graph;
  }

  /// Engine configurations in the order of one heuristic's preference; none where it doesn't know the
  /// operation.
  static std::vector<Descriptor> proposals(const Descriptor& graph, cudnnBackendHeurMode_t mode) {
    std::vector<Descriptor> configurations;
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
        .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, std::vector{mode});
    if (heuristics.try_finalize() != CUDNN_STATUS_SUCCESS) return configurations;
    std::int64_t available = 0, returned = 0;
    check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &available, nullptr),
          "the number of engines for attention");
    std::vector<cudnnBackendDescriptor_t> raw;
    for (std::int64_t i = 0; i < available; ++i) {
      configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      raw.push_back(configurations.back().get());
    }
    check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, available, &returned, raw.data()),
          "the engines for attention");
    while (configurations.size() > static_cast<std::size_t>(returned)) configurations.pop_back();
    return configurations;
  }

  void make_plans(const kernels::AttentionShape& shape) {
    const Descriptor graph = make_graph(shape);
    std::size_t proposed = 0;
    for (const auto& [mode, mode_name] :
         {std::pair{CUDNN_HEUR_MODE_A, "A"}, std::pair{CUDNN_HEUR_MODE_B, "B"}}) {
      const std::vector<Descriptor> configurations = proposals(graph, mode);
      proposed += configurations.size();
      for (std::size_t i = 0; i < configurations.size(); ++i) {
        Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle})
            .set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configurations[i]);
        if (plan.try_finalize() != CUDNN_STATUS_SUCCESS) continue;
        std::int64_t bytes = 0, count = 0;
        check(cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                       1, &count, &bytes),
              "the workspace size of attention");
        candidates.push_back(
            {fmt::format("cuDNN {} heuristics {}, proposal {}", cudnnGetVersion(), mode_name, i + 1),
             static_cast<std::size_t>(bytes)});
        plans.push_back(std::move(plan));
      }
    }
    if (plans.empty()) {
      throw DeviceError(fmt::format(
          "cuDNN {}: none of {} engines takes attention with batch {}, heads {}, tokens {}, dim {}",
          cudnnGetVersion(), proposed, shape.batch, shape.heads, shape.tokens, shape.dim));
    }
  }

  /// query, key, value, out
  using Pointers = std::array<void*, 4>;

  void execute(std::size_t plan, const Pointers& pointers) {
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
             std::vector<std::int64_t>{query_id, key_id, value_id, out_id, scale_id})
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
             std::vector<void*>{pointers[0], pointers[1], pointers[2], pointers[3], &scale})
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, std::vector<void*>{workspace.data()})
        .finalize("the arguments of attention");
    check(cudnnBackendExecute(handle, plans[plan].get(), pack.get()), "cudnnBackendExecute");
  }

  void take_workspace(std::size_t plan) {
    workspace = {};  // the one before goes first: two needn't fit
    workspace = DeviceBuffer<Cuda, std::uint8_t>(stream.device(), candidates[plan].workspace_bytes + 1,
                                                 MemoryUse::workspace, "cudnn");
  }

  void tune(const Pointers& pointers) {
    chosen = choose_fastest(candidates, [&](std::size_t plan) {
      take_workspace(plan);
      return launch_seconds(stream, [&] { execute(plan, pointers); });
    });
    take_workspace(chosen->index);
  }

  Stream<Cuda>& stream;
  cudnnHandle_t handle = nullptr;
  float scale;
  std::vector<Descriptor> plans;
  std::vector<Candidate> candidates;  // one for each plan
  std::optional<Choice> chosen;
  DeviceBuffer<Cuda, std::uint8_t> workspace;
};

std::string FusedAttentionCudnn::without_cudnn() {
  if (cudnnGetVersion() >= kFirstVersion) return {};
  return fmt::format("cuDNN {} has no attention operation; 9.13.1 or newer is needed", cudnnGetVersion());
}

FusedAttentionCudnn::FusedAttentionCudnn(Stream<Cuda>& stream, const kernels::AttentionShape& shape,
                                         float scale)
    : state_(std::make_unique<State>(stream, shape, scale)) {}

void FusedAttentionCudnn::run(DeviceSpan<Cuda, const bfloat16> query, DeviceSpan<Cuda, const bfloat16> key,
                              DeviceSpan<Cuda, const bfloat16> value, DeviceSpan<Cuda, bfloat16> out) {
  const auto device = [](const bfloat16* pointer) {
    return const_cast<void*>(static_cast<const void*>(pointer));
  };
  const State::Pointers pointers{device(query.data()), device(key.data()), device(value.data()), out.data()};
  if (!state_->chosen) state_->tune(pointers);
  state_->execute(state_->chosen->index, pointers);
}

std::string FusedAttentionCudnn::setting() const {
  return state_->chosen ? state_->chosen->setting : std::string();
}

#else  // no cuDNN, or one too old: the variant says so and isn't run

struct FusedAttentionCudnn::State {};

std::string FusedAttentionCudnn::without_cudnn() {
#ifdef REMEASURE_HAS_CUDNN
  return fmt::format("built with cuDNN {}; its attention operation came with 9.13.1", CUDNN_VERSION);
#else
  return "built without cuDNN; install libcudnn9-dev-cuda-12 (or -13) and configure again";
#endif
}

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
