// SPDX-License-Identifier: Apache-2.0
//
// Every way to run one operation on bounds, and a whole verification.
#pragma once

#include <fmt/format.h>

#include "experiments/learning/faith_rounding.h"
#include "experiments/learning/faith_tuning.h"
#include "experiments/vocabulary.h"
#include "kernels/learning/bound_oracle.h"
#include "kernels/learning/bound_reference.h"

namespace remeasure::experiments::faith_bounds {

using kernels::HostBounds;
using Run = std::function<void()>;

inline constexpr const char* kOutputs[4] = {"lower weight", "upper weight", "lower bias", "upper bias"};

inline std::vector<Accept> accept_all(double limit, const char* reason) {
  std::vector<Accept> list;
  for (const char* output : kOutputs)
    list.push_back({.output = output, .metric = ErrorMetric::relative_l2, .limit = limit, .reason = reason});
  return list;
}
inline constexpr const char* kSingle = "f32 sums of up to 640 terms; TF32 would be a hundred times that";

inline Work work_of(const BoundWork& w) {
  return {.flops = w.flops, .bytes = w.bytes, .special = w.special};
}

template <class Bench>
auto output_bounds(Bench& b, const BoundShape& shape) {
  const auto weights = [&](int i) { return b.template output<float>(kOutputs[i], shape.weights()); };
  const auto biases = [&](int i) { return b.template output<float>(kOutputs[i], shape.biases()); };
  const auto lw = weights(0), uw = weights(1), lb = biases(2), ub = biases(3);
  if constexpr (std::is_same_v<Bench, HostBench>)
    return HostBounds<float>(lw, uw, lb, ub);
  else
    return BoundSpans(lw, uw, lb, ub);
}
template <class Bench>
auto input_bounds(Bench& b, const BoundArrays<float>& from) {
  const auto lw = b.input(from.lower_weight), uw = b.input(from.upper_weight), lb = b.input(from.lower_bias),
             ub = b.input(from.upper_bias);
  if constexpr (std::is_same_v<Bench, HostBench>)
    return HostBounds<const float>(lw, uw, lb, ub);
  else
    return BoundSpans(lw, uw, lb, ub);
}

/// Oracle of a whole bound object. `bias_scale`: the natural size of a bias, where a single one may be near
/// 0.
inline void oracle_of(Trial& t, const BoundArrays<double>& exact, double bias_scale = 0) {
  const std::vector<double>* const values[4] = {&exact.lower_weight, &exact.upper_weight, &exact.lower_bias,
                                                &exact.upper_bias};
  for (std::size_t i = 0; i < 4; ++i) {
    const std::vector<double> scale(bias_scale > 0 && i >= 2 ? values[i]->size() : 0, bias_scale);
    t.oracle(kOutputs[i], 1,
             [of = *values[i], scale] { return OracleOutput{.values = of, .scale = scale, .indices = {}}; });
  }
}

struct OperationCase {
  BoundShape shape;
  const InputSets<OperationInputs>& in;
  bool on_cpu = true, simt = true;

  VariantInfo info(std::string name, std::string what, Work work = {}) const {
    // The order of Eigen's sums follows the alignment of its memory and the number of its threads.
    const bool eigen = name == "eigen" || name == "method";
    return {.name = std::move(name),
            .what = std::move(what),
            .dtype = "f32",
            .accept = accept_all(1e-5, kSingle),
            .work = std::move(work),
            .determinism = eigen ? bench::Determinism::order_dependent : bench::Determinism::bitwise,
            .simt = simt,
            .simt_left_out = "too many terms for the SIMT engine; checked at the smaller sizes",
            .explain_speedup = "small operations: eight launches and more unfused, one fused"};
  }
};

/// The library's products, kept by the bench.
template <class Target>
baselines::UnfusedBounds<Target>& unfused_graph(DeviceBench<Target>& b, baselines::UnfusedForm form) {
  auto& products = b.template own<baselines::CublasProducts>(b.stream());
  return b.template own<baselines::UnfusedBounds<Target>>(b.stream(), products, form);
}

// --- dense layer ---

inline void declare_matmul(Trial& t, const OperationCase& c, int columns) {
  const BoundShape after = c.shape.with_channels(columns);
  if (c.on_cpu) {
    t.host(c.info("eigen", "W+ and W-, four products", work_of(kernels::four_product_work(c.shape, columns))),
           [c, columns, after, tuning = EigenTuning()](HostBench& b) -> Run {
             const auto in = input_bounds(b, c.in[b.set()].bounds);
             const auto w = b.input(c.in[b.set()].matrix), offset = b.input(c.in[b.set()].offset);
             const auto out = output_bounds(b, after);
             const auto run = [=](EigenThreads threads) {
               baselines::unfused_matmul_eigen<float>(c.shape, columns, in, w, offset, out, threads);
             };
             return [run, threads = tuning(b, run)] { run(threads); };
           });
    t.host(c.info("method", "blocks of centres and radii, two products"),
           [c, columns, after](HostBench& b) -> Run {
             const auto in = input_bounds(b, c.in[b.set()].bounds);
             const auto w = b.input(c.in[b.set()].matrix), offset = b.input(c.in[b.set()].offset);
             const auto out = output_bounds(b, after);
             return [=] { kernels::bound_matmul_reference<float>(c.shape, columns, in, w, offset, out); };
           });
  }
  for (const auto form : {kernels::SplitForm::centre, kernels::SplitForm::select}) {
    const bool centre = form == kernels::SplitForm::centre;
    const char* what =
        centre ? "one launch, centres and radii" : "one launch, sides selected by sign, as the paper has it";
    t.kernel(c.info(centre ? "kernel" : "kernel/select", what,
                    work_of(kernels::bound_matmul_work(c.shape, columns, true, form))),
             [c, columns, after, form]<class Target>(DeviceBench<Target>& b) -> Run {
               const BoundSpans<Target, const float> in = input_bounds(b, c.in[b.set()].bounds);
               const auto w = b.input(c.in[b.set()].matrix), offset = b.input(c.in[b.set()].offset);
               const BoundSpans<Target, float> out = output_bounds(b, after);
               auto& stream = b.stream();
               return [=, &stream] {
                 kernels::bound_matmul<Target>(stream, c.shape, columns, in, w, offset, out, form);
               };
             });
  }
  for (const auto form : {baselines::UnfusedForm::four_products, baselines::UnfusedForm::centre}) {
    const bool centre = form == baselines::UnfusedForm::centre;
    const char* what = centre ? "centres, radii and |W| written, two cuBLAS products, no TF32"
                              : "mask launch, four cuBLAS products, no TF32";
    t.vendor(c.info(centre ? "vendor/centre" : "vendor", what),
             [c, columns, after, form]<class Target>(DeviceBench<Target>& b) -> Run {
               const BoundSpans<Target, const float> in = input_bounds(b, c.in[b.set()].bounds);
               const auto w = b.input(c.in[b.set()].matrix), offset = b.input(c.in[b.set()].offset);
               const BoundSpans<Target, float> out = output_bounds(b, after);
               auto& graph = unfused_graph(b, form);
               graph.matmul(c.shape, columns, in, w, offset, out);  // tunes the products
               b.setting(graph.setting());
               return [=, &graph] { graph.matmul(c.shape, columns, in, w, offset, out); };
             });
  }
}

// --- relaxations ---

inline void declare_relax(Trial& t, const OperationCase& c, Relaxation relaxation) {
  if (c.on_cpu) {
    t.host(c.info("eigen", "norms, intervals, lines and masked slopes as arrays"),
           [c, relaxation, tuning = EigenTuning()](HostBench& b) -> Run {
             const auto in = input_bounds(b, c.in[b.set()].bounds);
             const auto out = output_bounds(b, c.shape);
             const auto run = [=](EigenThreads threads) {
               baselines::unfused_relax_eigen<float>(relaxation, c.shape, kOperationBall, in, out, threads);
             };
             return [run, threads = tuning(b, run)] { run(threads); };
           });
    t.host(c.info("method", "one pass over each row"), [c, relaxation](HostBench& b) -> Run {
      const auto in = input_bounds(b, c.in[b.set()].bounds);
      const auto out = output_bounds(b, c.shape);
      return [=] { kernels::bound_relax_reference<float>(relaxation, c.shape, kOperationBall, in, out); };
    });
  }
  t.kernel(
      c.info("kernel", "one launch", work_of(kernels::bound_relax_work(relaxation, c.shape, kOperationBall))),
      [c, relaxation]<class Target>(DeviceBench<Target>& b) -> Run {
        const BoundSpans<Target, const float> in = input_bounds(b, c.in[b.set()].bounds);
        const BoundSpans<Target, float> out = output_bounds(b, c.shape);
        auto& stream = b.stream();
        return [=, &stream] {
          kernels::bound_relax<Target>(stream, relaxation, c.shape, kOperationBall, in, out);
        };
      });
  t.vendor(c.info("vendor", "element-wise graph, nine launches"),
           [c, relaxation]<class Target>(DeviceBench<Target>& b) -> Run {
             const BoundSpans<Target, const float> in = input_bounds(b, c.in[b.set()].bounds);
             const BoundSpans<Target, float> out = output_bounds(b, c.shape);
             auto& graph = unfused_graph(b, baselines::UnfusedForm::four_products);
             return [=, &graph] { graph.relax(relaxation, c.shape, kOperationBall, in, out); };
           });
}

// --- inner products; x and y are parts of one object [q | k | v] ---

inline void declare_dot(Trial& t, const OperationCase& c, const DotShape& dots) {
  const BoundShape after = dots.out_shape();
  if (c.on_cpu) {
    t.host(c.info("eigen", "masked ends, eight products a head"),
           [c, after, dots, tuning = EigenTuning()](HostBench& b) -> Run {
             const auto in = input_bounds(b, c.in[b.set()].bounds);
             const auto lower = b.input(c.in[b.set()].lower), upper = b.input(c.in[b.set()].upper);
             const auto out = output_bounds(b, after);
             const auto run = [=](EigenThreads threads) {
               baselines::unfused_dot_eigen<float>(dots, in, lower, in, lower, upper, out, threads);
             };
             return [run, threads = tuning(b, run)] { run(threads); };
           });
    t.host(c.info("method", "six small products a number and head"), [c, after, dots](HostBench& b) -> Run {
      const auto in = input_bounds(b, c.in[b.set()].bounds);
      const auto lower = b.input(c.in[b.set()].lower), upper = b.input(c.in[b.set()].upper);
      const auto out = output_bounds(b, after);
      return [=] { kernels::bound_dot_reference<float>(dots, in, lower, in, lower, upper, out, 0); };
    });
  }
  t.kernel(
      c.info("kernel", "one launch, slopes selected in registers", work_of(kernels::bound_dot_work(dots))),
      [c, after, dots]<class Target>(DeviceBench<Target>& b) -> Run {
        const BoundSpans<Target, const float> in = input_bounds(b, c.in[b.set()].bounds);
        const auto lower = b.input(c.in[b.set()].lower), upper = b.input(c.in[b.set()].upper);
        const BoundSpans<Target, float> out = output_bounds(b, after);
        auto& stream = b.stream();
        return [=, &stream] { kernels::bound_dot<Target>(stream, dots, in, lower, in, lower, upper, out); };
      });
  t.vendor(c.info("vendor", "masks and batched cuBLAS products, no TF32"),
           [c, after, dots]<class Target>(DeviceBench<Target>& b) -> Run {
             const BoundSpans<Target, const float> in = input_bounds(b, c.in[b.set()].bounds);
             const auto lower = b.input(c.in[b.set()].lower), upper = b.input(c.in[b.set()].upper);
             const BoundSpans<Target, float> out = output_bounds(b, after);
             auto& graph = unfused_graph(b, baselines::UnfusedForm::four_products);
             graph.dot(dots, in, lower, in, lower, upper, out);  // tunes the products
             b.setting(graph.setting());
             return [=, &graph] { graph.dot(dots, in, lower, in, lower, upper, out); };
           });
}

// --- a whole verification ---

struct VerifyCase {
  const InputSets<SentenceInputs>& in;
  double radius;
  RoundingLimits limits;
  bool on_cpu = true, simt = true;

  VariantInfo info(std::string name, std::string what, Work work = {}) const {
    // The order of Eigen's sums follows the alignment of its memory and the number of its threads.
    const bool eigen = name == "eigen" || name == "method";
    std::vector<Accept> accept =
        accept_all(limits.weights, "what roundings of sums in f32 change in this verification, four times");
    for (std::size_t i = 2; i < 4; ++i) {
      accept[i].metric = ErrorMetric::max_scaled;
      accept[i].limit = limits.biases;
      accept[i].reason =
          "the same; relative to the sum of the margin's weights, since a margin may be near 0";
    }
    // A bound without a digit is no bound, and whether its kernels agree says nothing.
    const bool resolved = limits.weights < 0.1 && limits.biases < 0.1;
    return {.name = std::move(name),
            .what = std::move(what),
            .dtype = "f32",
            .accept = std::move(accept),
            .work = std::move(work),
            .determinism = eigen ? bench::Determinism::order_dependent : bench::Determinism::bitwise,
            .not_supported = resolved ? ""
                                      : fmt::format("f32 leaves less than one digit: rounding changes {:.0e} "
                                                    "of the bounds' weights",
                                                    limits.weights),
            .simt = simt,
            .simt_left_out = "too many terms for the SIMT engine; checked at the smaller sizes",
            .explain_speedup = "hundreds of small launches unfused"};
  }
};

inline void copy_out(const BoundArrays<float>& margin, const HostBounds<float>& out) {
  std::copy(margin.lower_weight.begin(), margin.lower_weight.end(), out.lower_weight.begin());
  std::copy(margin.upper_weight.begin(), margin.upper_weight.end(), out.upper_weight.begin());
  std::copy(margin.lower_bias.begin(), margin.lower_bias.end(), out.lower_bias.begin());
  std::copy(margin.upper_bias.begin(), margin.upper_bias.end(), out.upper_bias.begin());
}

/// The chain's state on a device, as both forms take it.
template <class Target>
DeviceOps<Target> device_ops(DeviceBench<Target>& b, const SentenceInputs& s, double radius, int copies) {
  const BoundShape& shape = s.start.shape;
  auto& buffers = b.template own<VerifierBuffers<Target>>(
      s.model, shape.inputs, copies, [&](std::size_t size) { return b.template workspace<float>(size); });
  const BoundSpans<Target, const float> embedding = input_bounds(b, s.start);
  const BoundSpans<Target, float> margin = output_bounds(b, {1, shape.inputs, 1});
  return {b.stream(), buffers, b.input(s.model.parameters), shape,
          embedding,  {},      s.perturbation(radius).ball, margin};
}

inline BoundWork verification_work(const SentenceInputs& s, double radius, WorkOps* kept = nullptr) {
  WorkOps ops{s.start.shape, s.perturbation(radius).ball};
  propagate(ops, s.model, s.label);
  if (kept != nullptr) *kept = ops;
  return ops.work;
}

inline void declare_verification(Trial& t, const VerifyCase& c) {
  const BoundShape after{1, c.in[0].start.shape.inputs, 1};
  if (c.on_cpu) {
    t.host(c.info("eigen", "unfused chain"), [c, after, tuning = EigenTuning()](HostBench& b) -> Run {
      const SentenceInputs& s = c.in[b.set()];
      b.input(s.embedding);
      b.input(s.model.parameters);
      const auto out = output_bounds(b, after);
      const auto run = [out, &s, radius = c.radius](EigenThreads threads) {
        copy_out(baselines::unfused_margin_eigen<float>(s.model, s.label, s.embedding, s.perturbation(radius),
                                                        threads),
                 out);
      };
      return [run, threads = tuning(b, run)] { run(threads); };
    });
    t.host(c.info("method", "each operation in one pass"), [c, after](HostBench& b) -> Run {
      const SentenceInputs& s = c.in[b.set()];
      b.input(s.embedding);
      b.input(s.model.parameters);
      const auto out = output_bounds(b, after);
      return [out, &s, radius = c.radius] {
        copy_out(kernels::margin_bounds<float>(s.model, s.label, s.embedding, s.perturbation(radius)), out);
      };
    });
  }
  t.kernel(c.info("kernel", "fused kernels", work_of(verification_work(c.in[0], c.radius))),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const SentenceInputs& s = c.in[b.set()];
             auto& ops = b.template own<FusedOps<Target>>(FusedOps<Target>{device_ops(b, s, c.radius, 1)});
             return [&ops, &s] { propagate(ops, s.model, s.label); };
           });
  t.vendor(c.info("vendor", "unfused graph: cuBLAS, no TF32, and element-wise launches"),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const SentenceInputs& s = c.in[b.set()];
             auto& graph = unfused_graph(b, baselines::UnfusedForm::four_products);
             auto& ops = b.template own<UnfusedOps<Target>>(device_ops(b, s, c.radius, 2), graph);
             propagate(ops, s.model, s.label);  // tunes the products
             b.setting(graph.setting());
             return [&ops, &s] { propagate(ops, s.model, s.label); };
           });
}

}  // namespace remeasure::experiments::faith_bounds
