// SPDX-License-Identifier: Apache-2.0
//
// The C backend API of cuDNN, since distributions don't package its C++ frontend: tensors and operations are
// descriptors with attributes; an operation graph goes to the heuristics, which give engine configurations;
// of those that make an execution plan the fastest runs. For the *_cuda.cpp files of this room alone, under
// REMEASURE_HAS_CUDNN: it includes cuDNN.
#pragma once

#include <cudnn.h>
#include <cudnn_backend.h>
#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "baselines/matmul/choose.h"
#include "baselines/matmul/cudnn_handles.h"
#include "baselines/matmul/launch_time.h"
#include "kernels/device/device.h"

namespace remeasure::baselines::cudnn {

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
  Descriptor& set(cudnnBackendAttributeName_t name, bool value) {
    check(cudnnBackendSetAttribute(descriptor_, name, CUDNN_TYPE_BOOLEAN, 1, &value),
          "cudnnBackendSetAttribute");
    return *this;
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<const Descriptor*>& values) {
    std::vector<cudnnBackendDescriptor_t> raw;
    for (const Descriptor* value : values) raw.push_back(value->descriptor_);
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw);
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

/// What a tensor of a graph is. `by_value`: a number that the host passes with each call; `is_virtual`: only
/// between two operations, never in memory.
struct Tensor {
  std::int64_t id = 0;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  std::vector<std::int64_t> extents, strides;
  bool by_value = false, is_virtual = false;
};

inline Descriptor descriptor_of(const Tensor& tensor, const char* what) {
  Descriptor result(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  result.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{tensor.type})
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, tensor.extents)
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, tensor.strides)
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, std::vector<std::int64_t>{tensor.id})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64,
           std::vector<std::int64_t>{tensor.by_value ? 4 : 16});
  if (tensor.by_value) result.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, true);
  if (tensor.is_virtual) result.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
  result.finalize(what);
  return result;
}

/// The execution plans of one operation graph, and the fastest of them.
class Plans {
 public:
  /// `what`: for messages, "attention with batch 3, ...".
  Plans(Stream<Cuda>& stream, std::string what) : stream_(stream), what_(std::move(what)) {
    check(cudnnSetStream(handle_, static_cast<cudaStream_t>(stream.native())), "cudnnSetStream");
  }
  Plans(const Plans&) = delete;
  Plans& operator=(const Plans&) = delete;

  /// Makes a plan of every configuration that the heuristics propose for these operations, by a model (modes
  /// A and B) and, `with_fallback`, from the list of what always works. Throws DeviceError if none makes one.
  void make(const std::vector<const Descriptor*>& operations, bool with_fallback = false) {
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operations)
        .set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle_.handle});
    std::size_t proposed = 0;
    std::string why;
    if (const cudnnStatus_t status = graph.try_finalize(); status != CUDNN_STATUS_SUCCESS) {
      why = cudnnGetErrorString(status);
    } else {
      proposed += add_plans(graph, CUDNN_HEUR_MODE_A, "heuristics A");
      proposed += add_plans(graph, CUDNN_HEUR_MODE_B, "heuristics B");
      if (with_fallback) proposed += add_plans(graph, CUDNN_HEUR_MODE_FALLBACK, "fallback");
    }
    if (!plans_.empty()) return;
    throw DeviceError(
        fmt::format("cuDNN {}: none of {} engines takes {} {}", cudnnGetVersion(), proposed, what_, why));
  }

  /// The first call tries all plans.
  void run(const std::vector<std::int64_t>& ids, const std::vector<void*>& pointers) {
    if (!chosen_) {
      chosen_ = choose_fastest(candidates_, [&](std::size_t plan) {
        take_workspace(plan);
        return launch_seconds(stream_, [&] { execute(plan, ids, pointers); });
      });
      take_workspace(chosen_->index);
    }
    execute(chosen_->index, ids, pointers);
  }
  std::string setting() const { return chosen_ ? chosen_->setting : std::string(); }

 private:
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
          "the number of engines");
    std::vector<cudnnBackendDescriptor_t> raw;
    for (std::int64_t i = 0; i < available; ++i) {
      configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      raw.push_back(configurations.back().get());
    }
    check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, available, &returned, raw.data()),
          "the engines");
    while (configurations.size() > static_cast<std::size_t>(returned)) configurations.pop_back();
    return configurations;
  }

  std::size_t add_plans(const Descriptor& graph, cudnnBackendHeurMode_t mode, const char* mode_name) {
    const std::vector<Descriptor> configurations = proposals(graph, mode);
    for (std::size_t i = 0; i < configurations.size(); ++i) {
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle_.handle})
          .set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configurations[i]);
      if (plan.try_finalize() != CUDNN_STATUS_SUCCESS) continue;
      std::int64_t bytes = 0, count = 0;
      check(cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                     1, &count, &bytes),
            "the workspace size");
      candidates_.push_back({fmt::format("cuDNN {} {}, proposal {}", cudnnGetVersion(), mode_name, i + 1),
                             static_cast<std::size_t>(bytes)});
      plans_.push_back(std::move(plan));
    }
    return configurations.size();
  }

  void take_workspace(std::size_t plan) {
    workspace_ = {};  // the one before goes first: two needn't fit
    workspace_ = DeviceBuffer<Cuda, std::uint8_t>(stream_.device(), candidates_[plan].workspace_bytes + 1,
                                                  MemoryUse::workspace, "cudnn");
  }

  void execute(std::size_t plan, const std::vector<std::int64_t>& ids, const std::vector<void*>& pointers) {
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids)
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers)
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, std::vector<void*>{workspace_.data()})
        .finalize("the arguments of a plan");
    check(cudnnBackendExecute(handle_, plans_[plan].get(), pack.get()), "cudnnBackendExecute");
  }

  Stream<Cuda>& stream_;
  std::string what_;
  Library handle_;  // outlives the plans
  std::vector<Descriptor> plans_;
  std::vector<Candidate> candidates_;  // one for each plan
  std::optional<Choice> chosen_;
  DeviceBuffer<Cuda, std::uint8_t> workspace_;
};

}  // namespace remeasure::baselines::cudnn
