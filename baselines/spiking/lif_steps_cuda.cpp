// SPDX-License-Identifier: Apache-2.0
#include "baselines/matmul/cublas_check.h"
#include "baselines/spiking/lif_steps.h"

namespace remeasure::baselines {

struct CublasLifSteps::State {
  State(Stream<Cuda>& on, const SpikingShape& of, const Decay& by, float at)
      : stream(on),
        shape(of),
        decay(by),
        threshold(at),
        current(on.device(), count(), MemoryUse::workspace, "current"),
        membrane(on.device(), count(), MemoryUse::workspace, "membrane"),
        handle(on) {}

  std::size_t count() const {
    return static_cast<std::size_t>(shape.batch) * static_cast<std::size_t>(shape.neurons);
  }
  /// Distance of two batch entries in a trace.
  int stride() const { return shape.steps * shape.neurons; }

  /// out = a * x + b * y for [batch, neurons] with the given strides of a batch entry; out may be x.
  void combine(float a, const float* x, int x_stride, float b, const float* y, int y_stride, float* out,
               int out_stride) const {
    check(cublasSgeam(handle, CUBLAS_OP_N, CUBLAS_OP_N, shape.neurons, shape.batch, &a, x, x_stride, &b, y,
                      y_stride, out, out_stride),
          "cublasSgeam");
  }

  Stream<Cuda>& stream;
  SpikingShape shape;
  Decay decay;
  float threshold;
  DeviceBuffer<Cuda, float> current, membrane;  // backward: the second is dm
  CublasHandle handle;
};

CublasLifSteps::CublasLifSteps(Stream<Cuda>& stream, const SpikingShape& shape, const Decay& decay,
                               float threshold)
    : state_(std::make_unique<State>(stream, shape, decay, threshold)) {}
CublasLifSteps::~CublasLifSteps() = default;

void CublasLifSteps::forward(DeviceSpan<Cuda, const float> current, DeviceSpan<Cuda, float> membrane,
                             DeviceSpan<Cuda, float> spikes) {
  State& s = *state_;
  const auto alpha = static_cast<float>(s.decay.alpha), beta = static_cast<float>(s.decay.beta);
  const auto gain = static_cast<float>(1 - s.decay.beta);
  const int each = s.shape.neurons;
  s.stream.fill_bytes(s.current.span(), 0);
  s.stream.fill_bytes(s.membrane.span(), 0);
  for (int t = 0; t < s.shape.steps; ++t) {
    const float* x = current.data() + static_cast<std::size_t>(t) * static_cast<std::size_t>(each);
    s.combine(alpha, s.current.data(), each, 1.0f, x, s.stride(), s.current.data(), each);
    s.combine(beta, s.membrane.data(), each, gain, s.current.data(), each, s.membrane.data(), each);
    kernels::lif_step_fire<Cuda>(s.stream, s.shape, t, s.threshold, s.membrane, membrane, spikes);
  }
}

void CublasLifSteps::backward(DeviceSpan<Cuda, const float> membrane,
                              DeviceSpan<Cuda, const float> spike_gradient,
                              DeviceSpan<Cuda, float> current_gradient) {
  State& s = *state_;
  const auto alpha = static_cast<float>(s.decay.alpha), gain = static_cast<float>(1 - s.decay.beta);
  const int each = s.shape.neurons;
  s.stream.fill_bytes(s.membrane.span(), 0);
  for (int t = s.shape.steps - 1; t >= 0; --t) {
    kernels::lif_step_gradient<Cuda>(s.stream, s.shape, t, s.decay, s.threshold, membrane, spike_gradient,
                                     s.membrane);
    float* now = current_gradient.data() + static_cast<std::size_t>(t) * static_cast<std::size_t>(each);
    const bool last = t + 1 == s.shape.steps;  // nothing comes after it: alpha times zero, of any array
    s.combine(last ? 0.0f : alpha, last ? s.membrane.data() : now + each, last ? each : s.stride(), gain,
              s.membrane.data(), each, now, s.stride());
  }
}

}  // namespace remeasure::baselines
