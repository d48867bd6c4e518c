// SPDX-License-Identifier: Apache-2.0
//
// For the *_cuda.cpp files of this floor alone, under REMEASURE_HAS_CUDNN: it includes cuDNN.
#pragma once

#include <cudnn.h>
#include <fmt/format.h>

#include "baselines/matmul/library_handle.h"
#include "kernels/device/device.h"

namespace remeasure::baselines {

/// Throws DeviceError with the call, the status and cuDNN's own words on it.
inline void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char detail[512] = {};
  cudnnGetLastErrorString(detail, sizeof detail);
  throw DeviceError(fmt::format("cuDNN: {} failed: {} {}", what, cudnnGetErrorString(status), detail));
}

namespace cudnn {

/// A handle or descriptor of cuDNN, there from the start.
template <class Handle, auto kCreate, auto kDestroy>
struct Owned : LibraryHandle<Handle, kDestroy> {
  Owned() { check(kCreate(&this->handle), "creating a handle or descriptor"); }
};
using Library = Owned<cudnnHandle_t, cudnnCreate, cudnnDestroy>;
using TensorDescriptor =
    Owned<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using FilterDescriptor =
    Owned<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor =
    Owned<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor>;
using ActivationDescriptor =
    Owned<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor, cudnnDestroyActivationDescriptor>;
using DropoutDescriptor =
    Owned<cudnnDropoutDescriptor_t, cudnnCreateDropoutDescriptor, cudnnDestroyDropoutDescriptor>;
using RnnDescriptor = Owned<cudnnRNNDescriptor_t, cudnnCreateRNNDescriptor, cudnnDestroyRNNDescriptor>;
using RnnDataDescriptor =
    Owned<cudnnRNNDataDescriptor_t, cudnnCreateRNNDataDescriptor, cudnnDestroyRNNDataDescriptor>;

}  // namespace cudnn
}  // namespace remeasure::baselines
