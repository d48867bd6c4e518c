// SPDX-License-Identifier: Apache-2.0
#include <cufftXt.h>

#include <string>
#include <type_traits>

#include "baselines/sequences/fourier.h"

namespace remeasure::baselines {
namespace {

void check(cufftResult status, const char* call) {
  if (status != CUFFT_SUCCESS)
    throw DeviceError(std::string(call) + " failed: cuFFT error " + std::to_string(status));
}

}  // namespace

template <class Value>
struct CufftTransform<Value>::State {
  State(Stream<Cuda>& on, const FourierShape& of) : shape(of) {
    constexpr bool kHalf = std::is_same_v<Value, half>;
    const cudaDataType complex = kHalf ? CUDA_C_16F : CUDA_C_32F, real = kHalf ? CUDA_R_16F : CUDA_R_32F;
    auto length = static_cast<long long>(of.length);
    std::size_t bytes = 0;
    check(cufftCreate(&handle), "cufftCreate");
    check(cufftSetAutoAllocation(handle, 0), "cufftSetAutoAllocation");
    check(cufftXtMakePlanMany(handle, 1, &length, nullptr, 1, 0,
                              of.kind == Fourier::real_to_complex ? real : complex, nullptr, 1, 0,
                              of.kind == Fourier::complex_to_real ? real : complex,
                              static_cast<long long>(of.batch), &bytes, complex),
          "cufftXtMakePlanMany");
    workspace =
        DeviceBuffer<Cuda, unsigned char>(on.device(), bytes, MemoryUse::workspace, "cuFFT workspace");
    check(cufftSetWorkArea(handle, workspace.data()), "cufftSetWorkArea");
    check(cufftSetStream(handle, static_cast<cudaStream_t>(on.native())), "cufftSetStream");
  }
  ~State() { cufftDestroy(handle); }

  FourierShape shape;
  cufftHandle handle = 0;
  DeviceBuffer<Cuda, unsigned char> workspace;
};

template <class Value>
CufftTransform<Value>::CufftTransform(Stream<Cuda>& stream, const FourierShape& shape)
    : state_(std::make_unique<State>(stream, shape)) {}
template <class Value>
CufftTransform<Value>::~CufftTransform() = default;

template <class Value>
void CufftTransform<Value>::forward(DeviceSpan<Cuda, Value> time, DeviceSpan<Cuda, Value> spectrum) {
  check_transform("CufftTransform::forward", state_->shape, true, time.size(), spectrum.size());
  check(cufftXtExec(state_->handle, time.data(), spectrum.data(), CUFFT_FORWARD), "cufftXtExec");
}
template <class Value>
void CufftTransform<Value>::inverse(DeviceSpan<Cuda, Value> spectrum, DeviceSpan<Cuda, Value> time) {
  check_transform("CufftTransform::inverse", state_->shape, false, time.size(), spectrum.size());
  check(cufftXtExec(state_->handle, spectrum.data(), time.data(), CUFFT_INVERSE), "cufftXtExec");
}

template class CufftTransform<float>;
template class CufftTransform<half>;

}  // namespace remeasure::baselines
