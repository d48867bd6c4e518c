// SPDX-License-Identifier: Apache-2.0
//
// The variants of dfss: what is run on what, and what its output must be like.
#pragma once

#include <fmt/format.h>

#include "baselines/attention/full_attention.h"
#include "baselines/attention/fused_attention_cudnn.h"
#include "experiments/attention/dfss_problem.h"
#include "kernels/attention/nm_sparse.h"

namespace remeasure::experiments::attention {

using namespace bench;
using baselines::FullAttentionCublas;
using baselines::FusedAttentionCudnn;
using kernels::AttentionProblem;
using kernels::AttentionShape;
using kernels::NmPattern;

inline constexpr float kScale = 0.125F;  // 1 / sqrt(kDim)
using Run = std::function<void()>;

inline Accept accept(const std::string& output, double limit, double at_least, const char* reason) {
  return {.output = output,
          .metric = ErrorMetric::max_scaled,
          .limit = limit,
          .at_least = at_least,
          .reason = reason};
}
template <class Element>
Accept accept_on_gpu(const std::string& output) {
  if (Format<Element>::kBf16)
    return accept(output, 2e-2, 1e-4, "scores, weights and output are rounded to bf16, 2^-8 each");
  return accept(output, 4e-3, 1e-6, "weights are rounded to TF32, 2^-11 each");
}
inline Accept accept_on_cpu(const std::string& output) {
  return accept(output, 1e-5, 1e-9, "fp32; the weighted sum of up to 4096 values");
}

/// The standard method and this one on the CPU.
inline void declare_host(Trial& t, const AttentionShape& shape, const InputSets<Inputs>& in,
                         NmPattern pattern) {
  t.host({.name = "eigen",
          .what = "Eigen: Q K^T, softmax of the rows, P V; a thread per head",
          .dtype = "f32",
          .accept = {accept_on_cpu("full")},
          .work = host_work(shape, 4 * kDim, 16, 1)},
         [&, shape](HostBench& bench) -> Run {
           const Inputs& set = in[bench.set()];
           const auto q = bench.input(set.query), k = bench.input(set.key), v = bench.input(set.value);
           const auto out = bench.output<float>("full", shape.elements());
           return [=] { baselines::full_attention_eigen<float>(shape, kScale, q, k, v, out); };
         });
  t.host({.name = "method",
          .what = fmt::format("Eigen: Q K^T, {} of it, softmax, gathered P V", to_string(pattern)),
          .dtype = "f32",
          .accept = {accept_on_cpu("pruned")},
          .work = host_work(shape, 3 * kDim, 8.5, 0.5)},
         [&, shape, pattern](HostBench& bench) -> Run {
           const Inputs& set = in[bench.set()];
           AttentionProblem problem{.shape = shape,
                                    .scale = kScale,
                                    .query = bench.input(set.query),
                                    .key = bench.input(set.key),
                                    .value = bench.input(set.value)};
           const auto out = bench.output<float>("pruned", shape.elements());
           return [=] { kernels::nm_sparse_reference<float>(problem, pattern, out); };
         });
}

/// cuBLAS and cuDNN.
template <class Element>
void declare_vendor(Trial& t, const AttentionShape& shape, const InputSets<Inputs>& in) {
  t.vendor({.name = "vendor",
            .what = "cuBLAS's fastest batched product, row softmax, cuBLAS's fastest batched product",
            .dtype = Format<Element>::kDtype,
            .accept = {accept_on_gpu<Element>("full")},
            .work = unfused_work(shape, sizeof(Element)),
            .formula_bytes = sizeof(Element) * static_cast<double>(shape.scores())},
           [&, shape]<class Target>(DeviceBench<Target>& bench) -> Run {
             const DeviceInputs<Target, Element> set(bench, in[bench.set()], shape.batch);
             auto& full = bench.template own<FullAttentionCublas<Element>>(bench.stream(), shape, kScale);
             const auto scores = bench.template workspace<Element>(shape.scores());
             const auto out = bench.template output<Element>("full", shape.elements());
             const Run run = [=, &full] {
               full.scores(set.query, set.key, scores);
               full.softmax(scores, scores);
               full.product(scores, set.value, out);
             };
             run();  // chooses the algorithms
             bench.setting(full.setting());
             return run;
           });
  if constexpr (Format<Element>::kBf16) {
    t.vendor({.name = "sdpa",
              .what = "cuDNN scaled dot-product attention (flash), its fastest plan",
              .dtype = "bf16",
              .accept = {accept_on_gpu<Element>("full")},
              .work = fused_work(shape, sizeof(Element)),
              .not_supported = FusedAttentionCudnn::why_not()},
             [&, shape]<class Target>(DeviceBench<Target>& bench) -> Run {
               const DeviceInputs<Target, Element> set(bench, in[bench.set()], shape.batch);
               auto& fused = bench.template own<FusedAttentionCudnn>(bench.stream(), shape, kScale);
               const auto out = bench.template output<Element>("full", shape.elements());
               const Run run = [=, &fused] { fused.run(set.query, set.key, set.value, out); };
               run();  // chooses the plan
               bench.setting(fused.setting());
               return run;
             });
  }
}

/// The paper's kernels. A mask that differs from the oracle's in a word is a rounding tie.
template <class Element>
void declare_kernel(Trial& t, const AttentionShape& shape, const InputSets<Inputs>& in, bool whole) {
  std::vector<Accept> accepts = {accept_on_gpu<Element>("pruned")};
  if (whole) {
    accepts.push_back({.output = "metadata",
                       .metric = ErrorMetric::mismatches,
                       .limit = 5e-3,
                       .reason = "fp32 scores against fp64: rounding ties only"});
  }
  t.kernel({.name = "kernel",
            .what = fmt::format("DFSS {}: pruned product, softmax, mma.sp", Format<Element>::kName),
            .dtype = Format<Element>::kDtype,
            .accept = accepts,
            .work = pruned_work(shape, sizeof(Element)),
            .formula_bytes = sizeof(Element) * static_cast<double>(shape.scores()) * 9 / 16,
            .simt = shape.tokens <= 128,
            .simt_left_out = "n = 64 and n = 128 are checked at smoke size"},
           [&, shape, whole]<class Target>(DeviceBench<Target>& bench) -> Run {
             const DeviceInputs<Target, Element> set(bench, in[bench.set()], shape.batch);
             const auto nonzeros = bench.template workspace<Element>(nonzeros_size(shape));
             const std::size_t words = kernels::metadata_size<Element>(shape);
             const auto metadata = whole ? bench.template output<std::uint32_t>("metadata", words)
                                         : bench.template workspace<std::uint32_t>(words);
             const auto out = bench.template output<Element>("pruned", shape.elements());
             return [=, &stream = bench.stream()] {
               kernels::nm_sparse_attention<Target, Element>(stream, shape, Format<Element>::kPattern, kScale,
                                                             set.query, set.key, set.value, {}, nonzeros,
                                                             metadata, out);
             };
           });
}

/// The three stages of both methods, each on what the stage before it left in memory.
template <class Element>
void declare_stages(Trial& t, const AttentionShape& shape, const InputSets<Inputs>& in) {
  const auto stage = [&](const char* name, const char* what, const char* output, auto make) {
    t.vendor({.name = name,
              .what = what,
              .dtype = Format<Element>::kDtype,
              .accept = {accept_on_gpu<Element>(output)}},
             [&in, shape, output, make]<class Target>(DeviceBench<Target>& bench) -> Run {
               return make(bench, DeviceInputs<Target, Element>(bench, in[bench.set()], shape.batch), output);
             });
  };
  const auto vendor = [shape](auto step) {
    return [=]<class Target>(DeviceBench<Target>& bench, DeviceInputs<Target, Element> set,
                             const char* output) -> Run {
      auto& full = bench.template own<FullAttentionCublas<Element>>(bench.stream(), shape, kScale);
      return step(bench, full, set, output);
    };
  };
  stage("vendor/qk", "cuBLAS's fastest batched product", "scores",
        vendor([shape](auto& bench, auto& full, auto set, auto output) -> Run {
          const auto scores = bench.template output<Element>(output, shape.scores());
          full.scores(set.query, set.key, scores);
          bench.setting(full.setting());
          return [=, &full] { full.scores(set.query, set.key, scores); };
        }));
  stage("vendor/softmax", "row softmax", "weights",
        vendor([shape](auto& bench, auto& full, auto set, auto output) -> Run {
          const auto scores = bench.template workspace<Element>(shape.scores());
          const auto weights = bench.template output<Element>(output, shape.scores());
          full.scores(set.query, set.key, scores);
          return [=, &full] { full.softmax(scores, weights); };
        }));
  stage("vendor/av", "cuBLAS's fastest batched product", "full",
        vendor([shape](auto& bench, auto& full, auto set, auto output) -> Run {
          const auto weights = bench.template workspace<Element>(shape.scores());
          const auto out = bench.template output<Element>(output, shape.elements());
          full.scores(set.query, set.key, weights);
          full.softmax(weights, weights);
          full.product(weights, set.value, out);
          bench.setting(full.setting());
          return [=, &full] { full.product(weights, set.value, out); };
        }));
  const auto kernel = [shape](int which) {
    return [=]<class Target>(DeviceBench<Target>& bench, DeviceInputs<Target, Element> set,
                             const char* output) -> Run {
      auto& stream = bench.stream();
      const std::size_t size = nonzeros_size(shape);
      const auto nonzeros =
          which == 0 ? bench.template output<Element>(output, size) : bench.template workspace<Element>(size);
      const auto metadata = bench.template workspace<std::uint32_t>(kernels::metadata_size<Element>(shape));
      const auto product = [=, &stream] {
        kernels::sddmm_nm<Target, Element>(stream, shape, Format<Element>::kPattern, kScale, set.query,
                                           set.key, {}, nonzeros, metadata);
      };
      if (which == 0) return product;
      product();
      const auto weights = which == 1 ? bench.template output<Element>(output, size) : nonzeros;
      const auto softmax = [=, &stream] {
        kernels::softmax_nnz<Target, Element>(stream, shape, nonzeros, weights);
      };
      if (which == 1) return softmax;
      softmax();
      const auto out = bench.template output<Element>(output, shape.elements());
      return [=, &stream] {
        kernels::spmm_nm<Target, Element>(stream, shape, weights, metadata, set.value, out);
      };
    };
  };
  stage("kernel/qk", "sddmm_nm", "kept scores", kernel(0));
  stage("kernel/softmax", "row softmax of the kept scores", "kept weights", kernel(1));
  stage("kernel/av", "spmm_nm", "pruned", kernel(2));
}

}  // namespace remeasure::experiments::attention
