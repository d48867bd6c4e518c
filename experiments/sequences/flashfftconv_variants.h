// SPDX-License-Identifier: Apache-2.0
//
// The ways to compute a gated long convolution in flashfftconv: Eigen, the method in Eigen, the kernel in
// three types, cuFFT in three ways.
#pragma once

#include "baselines/sequences/fourier_convolution.h"
#include "experiments/sequences/flashfftconv_problem.h"

namespace remeasure::experiments::flashfftconv_problem {

using namespace bench;
using Run = std::function<void()>;

template <class Element>
std::vector<Element> rounded(const std::vector<float>& values) {
  std::vector<Element> result;
  result.reserve(values.size());
  for (const float value : values) result.push_back(Element(value));
  return result;
}

inline std::vector<Accept> accept_f32(const std::string& output = "y") {
  return {{.output = output,
           .metric = ErrorMetric::relative_l2,
           .limit = 5e-6,
           .reason = "f32; a transform's error grows with log N"}};
}
inline std::vector<Accept> accept_f16(const std::string& output = "y") {
  return {{.output = output,
           .metric = ErrorMetric::relative_l2,
           .limit = 5e-3,
           .at_least = 5e-5,
           .reason = "f16: signals, matrices and each stage rounded to 2^-11"}};
}
inline std::vector<Accept> accept_bf16() {
  return {{.output = "y",
           .metric = ErrorMetric::relative_l2,
           .limit = 2e-2,
           .at_least = 5e-4,
           .reason = "bf16: signals, matrices and each stage rounded to 2^-8"}};
}

struct ConvolutionCase {
  ConvolutionShape shape;
  bool gated = false;
  const InputSets<Inputs>& in;
  bool simt = true;
};

inline void declare_host(Trial& t, const ConvolutionCase& c) {
  const double values = static_cast<double>(c.shape.values());
  const auto spectra = std::make_shared<std::vector<std::vector<float>>>();
  const auto method_spectra = std::make_shared<std::vector<std::vector<std::complex<float>>>>();
  const MonarchFactors factors = factors_of(c.shape);
  for (std::size_t set = 0; set < kInputSets; ++set) {
    spectra->push_back(baselines::fourier_filters_eigen(unpacked(c.shape), c.in[set].filter));
    method_spectra->push_back(kernels::monarch_filters<float>(c.shape, factors, c.in[set].filter));
  }
  const double n = c.shape.transform;
  t.host({.name = "eigen",
          .what = "Eigen's FFT (kissfft), real transforms, spectra of the filters given",
          .dtype = "f32",
          .accept = accept_f32(),
          .work = {.flops = values / c.shape.length * 5 * n * std::log2(n),
                   .bytes = 4 * values * (c.gated ? 4 : 2),
                   .rate = {}}},
         [c, spectra](HostBench& b) -> Run {
           const Inputs& in = c.in[b.set()];
           const auto u = b.input(in.u), pre = b.input(in.pregate), post = b.input(in.postgate),
                      k = b.input((*spectra)[b.set()]);
           const auto y = b.output<float>("y", u.size());
           return [=] { baselines::fourier_convolution_eigen(unpacked(c.shape), u, pre, k, post, y); };
         });
  t.host({.name = "method",
          .what = fmt::format("Monarch transforms in Eigen, {} factors{}", factors.order(),
                              c.shape.signal == Signal::packed ? ", packed" : ""),
          .dtype = "f32",
          .accept = accept_f32(),
          .work = {.flops = values / c.shape.length * kernels::monarch_matmul_flops(factors),
                   .bytes = 4 * values * (c.gated ? 4 : 2),
                   .rate = {}}},
         [c, factors, method_spectra](HostBench& b) -> Run {
           const Inputs& in = c.in[b.set()];
           const auto u = b.input(in.u), pre = b.input(in.pregate), post = b.input(in.postgate);
           const auto k = b.input((*method_spectra)[b.set()]);
           const auto y = b.output<float>("y", u.size());
           return
               [=] { kernels::monarch_convolution_reference<float>(c.shape, factors, u, pre, k, post, y); };
         });
}

template <class Element>
void declare_kernel(Trial& t, const ConvolutionCase& c, const std::string& name, const char* dtype,
                    const std::vector<Accept>& accept) {
  const MonarchFactors factors = kernels::monarch_factors(c.shape.points());
  const kernels::MonarchCost cost = kernels::monarch_cost<Element>(c.shape, factors, {}, c.gated);
  // What sm_80 offers a block.
  const bool fits = 2 * sizeof(Element) * c.shape.points() <= 163 * 1024;
  t.kernel(
      {.name = name,
       .what = fmt::format("one launch, {} factors on tensor cores{}", factors.order(),
                           c.shape.signal == Signal::packed ? ", packed" : ""),
       .dtype = dtype,
       .accept = accept,
       .work = {.flops = cost.flops, .bytes = cost.bytes, .rate = {}},
       .not_supported = fits ? "" : "two planes of f32 don't fit the shared memory of a block",
       .simt = c.simt,
       .simt_left_out =
           "more sequences or longer than the SIMT engine checks in seconds; smaller sizes are checked",
       .explain_speedup = "the chain reads and writes complex f32 at least six times, the kernel f16 once"},
      [c, factors]<class Target>(DeviceBench<Target>& b) -> Run {
        const Inputs& in = c.in[b.set()];
        auto& plan = b.template own<kernels::MonarchPlan<Target, Element>>(b.stream(), factors);
        const auto k = b.input(kernels::monarch_device_filters<Element>(c.shape, factors, in.filter));
        const auto u = b.input(rounded<Element>(in.u)), pre = b.input(rounded<Element>(in.pregate)),
                   post = b.input(rounded<Element>(in.postgate));
        const auto y = b.template output<Element>("y", c.shape.values());
        return [=, &plan, &stream = b.stream()] {
          kernels::monarch_convolution<Target, Element>(stream, c.shape, plan, {}, u, pre, k, post, y);
        };
      });
}

/// Three launches: the outer DFT, the rows, the way back.
template <class Element>
void declare_outer_kernel(Trial& t, const ConvolutionCase& c, const std::string& name, const char* dtype,
                          const std::vector<Accept>& accept) {
  const MonarchFactors factors = factors_of(c.shape);
  const kernels::MonarchOuterCost cost = kernels::monarch_outer_cost<Element>(c.shape, factors, c.gated);
  t.kernel(
      {.name = name,
       .what = fmt::format("outer DFT of {} around fused rows of {}", factors.factor(0), factors.inner(0)),
       .dtype = dtype,
       .accept = accept,
       .work = {.flops = cost.flops, .bytes = cost.bytes, .special = cost.special, .rate = {}},
       .simt = c.simt,
       .simt_left_out = "longer than the SIMT engine checks in seconds; 128K is checked at smoke size",
       .explain_speedup =
           "the chain reads and writes complex f32 at least six times, the kernel f16 three times"},
      [c, factors]<class Target>(DeviceBench<Target>& b) -> Run {
        const Inputs& in = c.in[b.set()];
        auto& plan = b.template own<kernels::MonarchOuterPlan<Target, Element>>(b.stream(), factors);
        const auto k = b.input(kernels::monarch_device_filters<Element>(c.shape, factors, in.filter));
        const auto u = b.input(rounded<Element>(in.u)), pre = b.input(rounded<Element>(in.pregate)),
                   post = b.input(rounded<Element>(in.postgate));
        const auto planes = b.template workspace<Element>(
            2 * static_cast<std::size_t>(c.shape.batch * c.shape.channels) * c.shape.points());
        const auto y = b.template output<Element>("y", c.shape.values());
        return [=, &plan, &stream = b.stream()] {
          kernels::monarch_outer_convolution<Target, Element>(stream, c.shape, plan, u, pre, k, post, planes,
                                                              y);
        };
      });
}

inline void declare_vendor(Trial& t, const ConvolutionCase& c, const std::string& name, const char* what,
                           baselines::CufftWay way) {
  std::vector<Accept> accept = accept_f16();
  if (way == baselines::CufftWay::real_half)
    accept[0].limit = 2e-2, accept[0].reason = "f16 in all log2 N butterflies";
  t.vendor({.name = name, .what = what, .dtype = "f16", .accept = std::move(accept)},
           [c, way]<class Target>(DeviceBench<Target>& b) -> Run {
             const Inputs& in = c.in[b.set()];
             auto& chain = b.template own<baselines::CufftConvolution<half>>(
                 b.stream(), unpacked(c.shape), way, std::span<const float>(in.filter));
             const auto u = b.input(rounded<half>(in.u)), pre = b.input(rounded<half>(in.pregate)),
                        post = b.input(rounded<half>(in.postgate));
             const auto y = b.template output<half>("y", c.shape.values());
             return [=, &chain] { chain(u, pre, post, y); };
           });
}

}  // namespace remeasure::experiments::flashfftconv_problem
