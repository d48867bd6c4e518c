// SPDX-License-Identifier: Apache-2.0
//
// Partial convolutions: a filter much shorter than the sequence, by windows of twice its taps that move over
// it (overlap-save), beside the transform of the whole padded sequence. The window is all that has to be
// held, whatever the length.
#pragma once

#include "experiments/sequences/flashfftconv_variants.h"

namespace remeasure::experiments::flashfftconv_problem {

inline void measure_partial(Trial& t, int length, int taps) {
  const ConvolutionShape whole{1, 1, length, 2 * length, 0, Signal::real},
      windows{1, 1, length, 2 * taps, taps, Signal::packed};
  const MonarchFactors factors = kernels::monarch_factors(windows.points());
  const auto in = t.inputs([&](std::uint64_t seed) {
    Inputs inputs =
        load(t, {1, 1, taps, taps}, false, seed);  // the filter; the signal is as long as it likes
    inputs.u = white(static_cast<std::size_t>(length), seed);
    return inputs;
  });
  t.oracle("y", 1, [&]() -> OracleOutput {
    return {.values = kernels::convolution_oracle(static_cast<std::size_t>(whole.transform), in[0].u, {},
                                                  in[0].filter, {}),
            .scale = {},
            .indices = {}};
  });
  t.host({.name = "eigen",
          .what = "Eigen's FFT of the whole sequence, padded",
          .dtype = "f32",
          .accept = accept_f32(),
          .threads = 1},
         [&](HostBench& b) -> Run {
           auto& k = b.own<std::vector<float>>(baselines::fourier_filters_eigen(whole, in[b.set()].filter));
           const auto u = b.input(in[b.set()].u);
           const auto y = b.output<float>("y", u.size());
           return [=, &k] { baselines::fourier_convolution_eigen(whole, u, {}, k, {}, y, 1); };
         });
  t.host({.name = "method",
          .what = fmt::format("Monarch transforms in Eigen over {} windows of {}", windows.windows(),
                              windows.transform),
          .dtype = "f32",
          .accept = accept_f32(),
          .threads = 1},
         [&](HostBench& b) -> Run {
           auto& k = b.own<std::vector<std::complex<float>>>(
               kernels::monarch_filters<float>(windows, factors, in[b.set()].filter));
           const auto u = b.input(in[b.set()].u);
           const auto y = b.output<float>("y", u.size());
           return [=, &k] {
             kernels::monarch_convolution_reference<float>(windows, factors, u, {},
                                                           std::span<const std::complex<float>>(k), {}, y, 1);
           };
         });
  const kernels::MonarchCost cost = kernels::monarch_cost<half>(windows, factors, {}, false);
  t.kernel({.name = "kernel",
            .what = "windows of one sequence as sequences of a tile, packed",
            .dtype = "f16",
            .accept = accept_f16(),
            .work = {.flops = cost.flops, .bytes = cost.bytes, .rate = {}},
            .simt = length <= 65'536,
            .simt_left_out = "longer than the SIMT engine checks in seconds; checked at smoke size"},
           [&]<class Target>(DeviceBench<Target>& b) -> Run {
             auto& plan = b.template own<kernels::MonarchPlan<Target, half>>(b.stream(), factors);
             const auto k =
                 b.input(kernels::monarch_device_filters<half>(windows, factors, in[b.set()].filter));
             const auto u = b.input(rounded<half>(in[b.set()].u));
             const auto y = b.template output<half>("y", windows.values());
             return [=, &plan, &stream = b.stream()] {
               kernels::monarch_convolution<Target, half>(stream, windows, plan, {}, u, {}, k, {}, y);
             };
           });
  t.vendor({.name = "vendor",
            .what = "cuFFT of the whole sequence, padded, real transforms in f32",
            .dtype = "f16",
            .accept = accept_f16()},
           [&]<class Target>(DeviceBench<Target>& b) -> Run {
             auto& chain = b.template own<baselines::CufftConvolution<half>>(
                 b.stream(), whole, baselines::CufftWay::real, std::span<const float>(in[b.set()].filter));
             const auto u = b.input(rounded<half>(in[b.set()].u));
             const auto y = b.template output<half>("y", whole.values());
             return [=, &chain] { chain(u, {}, {}, y); };
           });
  t.measure();
  t.speedup("method", "eigen");
  t.speedup("kernel", "vendor");
  t.metric({.name = "values held at a time, whole over window",
            .value = static_cast<double>(whole.transform) / windows.transform,
            .unit = "x",
            .exact = true});
}

}  // namespace remeasure::experiments::flashfftconv_problem
