// SPDX-License-Identifier: Apache-2.0
#include <cufft.h>

#include <string>
#include <vector>

#include "baselines/spiking/lif_steps.h"
#include "kernels/spiking/sequence_layout.h"
#include "kernels/spiking/spsn_reference.h"

namespace remeasure::baselines {
namespace {

void check(cufftResult status, const char* call) {
  if (status != CUFFT_SUCCESS) throw DeviceError(std::string(call) + " failed: cuFFT error " + std::to_string(status));
}

/// A plan and its workspace, which the ledger counts.
struct Plan {
  Plan(Stream<Cuda>& stream, int length, int batch, cufftType type) {
    std::size_t bytes = 0;
    check(cufftCreate(&handle), "cufftCreate");
    check(cufftSetAutoAllocation(handle, 0), "cufftSetAutoAllocation");
    check(cufftMakePlan1d(handle, length, type, batch, &bytes), "cufftMakePlan1d");
    workspace = DeviceBuffer<Cuda, unsigned char>(stream.device(), bytes, MemoryUse::workspace, "cuFFT workspace");
    check(cufftSetWorkArea(handle, workspace.data()), "cufftSetWorkArea");
    check(cufftSetStream(handle, static_cast<cudaStream_t>(stream.native())), "cufftSetStream");
  }
  ~Plan() { cufftDestroy(handle); }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  cufftHandle handle = 0;
  DeviceBuffer<Cuda, unsigned char> workspace;
};

cufftComplex* complex(float* data) { return reinterpret_cast<cufftComplex*>(data); }

}  // namespace

struct CufftMembrane::State {
  State(Stream<Cuda>& on, const SpikingShape& of, const Decay& decay)
      : stream(on), shape(of), length(2 * static_cast<std::size_t>(of.steps)), bins(length / 2 + 1),
        count(static_cast<std::size_t>(of.batch) * static_cast<std::size_t>(of.neurons)),
        sequences(on.device(), count * length, MemoryUse::workspace, "sequences"),
        spectra(on.device(), 2 * count * bins, MemoryUse::workspace, "spectra"),
        response(on.device(), 2 * bins, MemoryUse::workspace, "response"),
        forward(on, static_cast<int>(length), static_cast<int>(count), CUFFT_R2C),
        inverse(on, static_cast<int>(length), static_cast<int>(count), CUFFT_C2R) {
    const std::vector<double> h = kernels::membrane_response(decay, static_cast<std::size_t>(of.steps));
    std::vector<float> padded(length, 0.0f);
    for (std::size_t t = 0; t < h.size(); ++t) padded[t] = static_cast<float>(h[t]);
    stream.upload(std::span<const float>(padded), sequences.span().subspan(0, length));
    Plan one(on, static_cast<int>(length), 1, CUFFT_R2C);
    check(cufftExecR2C(one.handle, sequences.data(), complex(response.data())), "cufftExecR2C");
    stream.synchronize();
  }

  Stream<Cuda>& stream;
  SpikingShape shape;
  std::size_t length, bins, count;
  DeviceBuffer<Cuda, float> sequences, spectra, response;
  Plan forward, inverse;
};

CufftMembrane::CufftMembrane(Stream<Cuda>& stream, const SpikingShape& shape, const Decay& decay)
    : state_(std::make_unique<State>(stream, shape, decay)) {}
CufftMembrane::~CufftMembrane() = default;

void CufftMembrane::operator()(DeviceSpan<Cuda, const float> current, DeviceSpan<Cuda, float> membrane) {
  State& s = *state_;
  kernels::pad_sequences<Cuda>(s.stream, s.shape, s.length, current, s.sequences);
  check(cufftExecR2C(s.forward.handle, s.sequences.data(), complex(s.spectra.data())), "cufftExecR2C");
  kernels::multiply_spectra<Cuda>(s.stream, s.bins, 1.0f / static_cast<float>(s.length), s.response, s.spectra);
  check(cufftExecC2R(s.inverse.handle, complex(s.spectra.data()), s.sequences.data()), "cufftExecC2R");
  kernels::crop_sequences<Cuda>(s.stream, s.shape, s.length, s.sequences, membrane);
}

}  // namespace remeasure::baselines
