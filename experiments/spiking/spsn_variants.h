// SPDX-License-Identifier: Apache-2.0
//
// The variants of a layer of spsn: forward and backward, with and without reset, on every device.
#pragma once

#include "bench/launch_queue.h"
#include "experiments/spiking/spsn_layer.h"
#include "experiments/vocabulary.h"

namespace remeasure::experiments::spsn_layer {

/// How the layers run: the input sets, the oracle's rules, what fits on Simt.
struct LayerCase {
  SpikingShape shape;
  const InputSets<LayerInputs>& in;
  FirmSteps firm;
  bool simt = true;
};

inline std::vector<Accept> accept_membrane(double limit = 1e-5) {
  return {{.output = "membrane",
           .metric = ErrorMetric::relative_l2,
           .limit = limit,
           .reason = "f32 sums over a memory of some hundred steps"}};
}
inline std::vector<Accept> accept_lif(const FirmSteps& firm) {
  return {
      {.output = "lif",
       .metric = ErrorMetric::relative_l2,
       .limit = 1e-5,
       .reason = "f32; steps after a membrane has come within 1e-4 of the threshold are left out and counted",
       .only = firm}};
}
inline std::vector<Accept> accept_gradient(const std::string& output) {
  return {{.output = output,
           .metric = ErrorMetric::relative_l2,
           .limit = 1e-5,
           .reason = "f32, from the same f32 membranes"}};
}

inline double scan_lanes(const SpikingShape& shape) {
  return static_cast<double>(shape.batch) * static_cast<double>((shape.neurons + 31) / 32 * 32);
}
/// Values of the whole tiles: a spike is drawn for each.
inline double scan_draws(const SpikingShape& shape) {
  const kernels::ScanPlan plan = kernels::scan_plan(shape.steps);
  return scan_lanes(shape) * plan.tiles * kernels::kScanSteps * plan.warps;
}
/// Floating-point operations of the scan: the recurrence twice over whole tiles, the combining of chunks, and
/// `per_draw` for each value whose spike is drawn (or whose slope is taken).
inline double scan_flops(const SpikingShape& shape, double per_draw) {
  const kernels::ScanPlan plan = kernels::scan_plan(shape.steps);
  double combined = 0;
  for (int round = 0; round < plan.rounds; ++round) combined += 6.0 * (plan.warps - (1 << round));
  return (10 + per_draw) * scan_draws(shape) + scan_lanes(shape) * plan.tiles * combined;
}
inline constexpr double kFlopsOfDraw = 4;   // uniform: 2; sigmoid: 2 and an exponential
inline constexpr double kFlopsOfSlope = 6;  // sigmoid: 2 and an exponential; p p (1 - p) dz: 4
/// (100 |m - threshold| + 1)^2: 4; quotient, beta dm and their sum: 3, of which one is spared where a neuron
/// fired; ds: 3.
inline constexpr double kFlopsOfLifBackward = 10;

inline Work work_of(const SpikingShape& shape, double flops, double bytes_per_value, double special = 0) {
  return {.flops = flops, .bytes = bytes_per_value * static_cast<double>(shape.values()), .special = special};
}

// --- on a CPU ---

inline void declare_host(Trial& t, const LayerCase& c) {
  const double n = static_cast<double>(c.shape.values());
  t.host({.name = "eigen",
          .what = "LIF, a step at a time over the batch",
          .dtype = "f32",
          .accept = accept_lif(c.firm),
          .work = work_of(c.shape, 6 * n, 12)},
         [c](HostBench& b) -> Run {
           const auto x = b.input(c.in[b.set()].current);
           const auto m = b.output<float>("lif", x.size()), z = b.output<float>("spikes", x.size());
           return [=] { baselines::lif_steps_eigen(c.shape, kDecay, kThreshold, x, m, z); };
         });
  t.host({.name = "method",
          .what = "membrane without reset, the recurrence",
          .dtype = "f32",
          .accept = accept_membrane(),
          .work = work_of(c.shape, 5 * n, 8)},
         [c](HostBench& b) -> Run {
           const auto x = b.input(c.in[b.set()].current);
           const auto m = b.output<float>("membrane", x.size());
           return [=] { kernels::spsn_membrane_reference<float>(c.shape, kDecay, x, m); };
         });
  t.host({.name = "method/fft",
          .what = "membrane by Fourier transforms of 2 T (Eigen, kissfft)",
          .dtype = "f32",
          .accept = accept_membrane()},
         [c](HostBench& b) -> Run {
           const auto x = b.input(c.in[b.set()].current);
           const auto m = b.output<float>("membrane", x.size());
           return [=] { kernels::spsn_membrane_fourier<float>(c.shape, kDecay, x, m); };
         });
}

// --- on a GPU (and the kernels on Simt) ---

inline VariantsOnDevice on_device(const LayerCase& c) {
  return {
      c.simt, "steps",
      "the loop that frameworks run has 3 T dependent launches of a few microseconds each, the kernel one"};
}

inline void declare_forward(Trial& t, const LayerCase& c) {
  const double n = static_cast<double>(c.shape.values());
  t.kernel(on_device(c)(
               "kernel", "membrane by a scan, Bernoulli spikes packed by ballot", "f32", accept_membrane(),
               work_of(c.shape, scan_flops(c.shape, kFlopsOfDraw), 8 + 1.0 / 8, scan_draws(c.shape))),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].current);
             const auto m = b.template output<float>("membrane", x.size());
             const auto z = b.template output<std::uint32_t>("spikes", c.shape.spike_words());
             auto& stream = b.stream();
             return [=, &stream] {
               kernels::spsn_membrane<Target>(stream, c.shape, kDecay, Spiking::sigmoid_bernoulli,
                                              {kNoiseSeed}, x, m, z);
             };
           });
  t.kernel(on_device(c)("lif", "LIF fused: a thread per neuron, time in registers", "f32", accept_lif(c.firm),
                        work_of(c.shape, 5 * n, 8 + 1.0 / 8)),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].current);
             const auto m = b.template output<float>("lif", x.size());
             const auto z = b.template output<std::uint32_t>("spikes", c.shape.spike_words());
             auto& stream = b.stream();
             return
                 [=, &stream] { kernels::lif_fused<Target>(stream, c.shape, kDecay, kThreshold, x, m, z); };
           });
  VariantInfo forward =
      on_device(c)("vendor", "LIF, a step at a time: 2 cublasSgeam and a kernel, 3 T launches", "f32",
                   accept_lif(c.firm), work_of(c.shape, 6 * n, 12));
  forward.synchronises = bench::beyond_launch_queue(3L * c.shape.steps);
  t.vendor(std::move(forward), [c]<class Target>(DeviceBench<Target>& b) -> Run {
    const auto x = b.input(c.in[b.set()].current);
    const auto m = b.template output<float>("lif", x.size()),
               z = b.template output<float>("spikes", x.size());
    auto& steps = b.template own<baselines::CublasLifSteps>(b.stream(), c.shape, kDecay, kThreshold);
    return [=, &steps] { steps.forward(x, m, z); };
  });
  t.vendor(on_device(c)("fft", "membrane by cuFFT, R2C and C2R of 2 T: the paper's way", "f32",
                        accept_membrane(), {}),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].current);
             const auto m = b.template output<float>("membrane", x.size());
             auto& fourier = b.template own<baselines::CufftMembrane>(b.stream(), c.shape, kDecay);
             return [=, &fourier] { fourier(x, m); };
           });
}

inline void declare_backward(Trial& t, const LayerCase& c) {
  const double n = static_cast<double>(c.shape.values());
  t.kernel(on_device(c)("kernel/backward", "through the draws and the membrane, the scan from the end", "f32",
                        accept_gradient("gradient"),
                        work_of(c.shape, scan_flops(c.shape, 0) + kFlopsOfSlope * n, 12, n)),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const LayerInputs& in = c.in[b.set()];
             const auto m = b.input(in.membrane), dz = b.input(in.spike_gradient);
             const auto dx = b.template output<float>("gradient", m.size());
             auto& stream = b.stream();
             return [=, &stream] {
               kernels::spsn_membrane_backward<Target>(stream, c.shape, kDecay, Spiking::sigmoid_bernoulli,
                                                       {kNoiseSeed}, m, dz, dx);
             };
           });
  t.kernel(on_device(c)("lif/backward", "LIF fused, backwards through time", "f32",
                        accept_gradient("lif gradient"), work_of(c.shape, kFlopsOfLifBackward * n, 12)),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const LayerInputs& in = c.in[b.set()];
             const auto m = b.input(in.lif), dz = b.input(in.spike_gradient);
             const auto dx = b.template output<float>("lif gradient", m.size());
             auto& stream = b.stream();
             return [=, &stream] {
               kernels::lif_fused_backward<Target>(stream, c.shape, kDecay, kThreshold, m, dz, dx);
             };
           });
  VariantInfo backward =
      on_device(c)("vendor/backward", "LIF, a step at a time: a kernel and cublasSgeam, 2 T launches", "f32",
                   accept_gradient("lif gradient"), work_of(c.shape, 11 * n, 16));
  backward.synchronises = bench::beyond_launch_queue(2L * c.shape.steps);
  t.vendor(std::move(backward), [c]<class Target>(DeviceBench<Target>& b) -> Run {
    const LayerInputs& in = c.in[b.set()];
    const auto m = b.input(in.lif), dz = b.input(in.spike_gradient);
    const auto dx = b.template output<float>("lif gradient", m.size());
    auto& steps = b.template own<baselines::CublasLifSteps>(b.stream(), c.shape, kDecay, kThreshold);
    return [=, &steps] { steps.backward(m, dz, dx); };
  });
}

}  // namespace remeasure::experiments::spsn_layer
