// SPDX-License-Identifier: Apache-2.0
//
// A quantised block at work: the second dense layer of its MLP on twin codes, and the codes that softmax and
// GELU leave.
#pragma once

#include "baselines/matmul/matmul.h"
#include "experiments/precision/ptq4vit_block.h"
#include "kernels/precision/twin_codes.h"
#include "kernels/precision/twin_gemm.h"

namespace remeasure::experiments::twin_calibration {

/// A product by cublasLt that brings its library along.
class CublasProduct {
 public:
  CublasProduct(Stream<Cuda>& stream, const baselines::MatmulProblem& problem)
      : library_(stream), matmul_(library_, problem) {}
  void operator()(const void* a, const void* b, void* c) { matmul_(a, b, c); }

 private:
  baselines::MatmulLibrary library_;
  baselines::Matmul matmul_;
};

struct InferenceInputs {
  kernels::TwinGemmShape shape;
  kernels::TwinSteps steps;
  std::vector<float> a, b;                 ///< exact
  std::vector<float> a_twin, b_quantized;  ///< as the codes stand for
  std::vector<std::uint8_t> codes;
  std::vector<std::int8_t> a_uniform, b_codes;
  std::vector<float> column_step;
  std::vector<float> before_gelu, scores;
  int heads_rows = 0, tokens = 0, stride = 0;
  float high_step = 0, scale = 0;
};

inline constexpr int kSplitShift = 4;

inline InferenceInputs load_inference(Trial& t, const BlockChoice& c, std::uint64_t seed) {
  const BlockInputs block = load_block(t, c, seed);
  const LayerProduct &fc2 = block.layers[5], &qk = block.layers[1];
  InferenceInputs in;
  in.shape = {1, fc2.rows, fc2.inner, fc2.columns, c.bits};
  in.a = fc2.a, in.b = fc2.b;
  in.high_step = kernels::first_step(fc2.a, c.bits);
  const auto twin = kernels::gelu_quantizer(in.high_step, c.bits);
  const auto uniform = kernels::uniform_quantizer(in.high_step, c.bits),
             weights = kernels::uniform_quantizer(kernels::first_step(fc2.b, c.bits), c.bits);
  in.steps = {-twin.low_step, twin.high_step};  // codes of the low range are magnitudes
  in.a_twin = kernels::quantized(fc2.a, std::span(&twin, 1));
  in.b_quantized = kernels::quantized(fc2.b, std::span(&weights, 1));
  for (const float x : fc2.a) in.codes.push_back(kernels::packed_code(twin, x, c.bits));
  in.a_uniform = codes_of(fc2.a, std::span(&uniform, 1));
  in.b_codes = codes_of(fc2.b, std::span(&weights, 1));
  in.column_step.assign(static_cast<std::size_t>(fc2.columns), weights.high_step);
  in.before_gelu = block.layers[4].y;
  in.scores = qk.y;
  in.tokens = qk.columns;
  in.heads_rows = qk.matrices * qk.rows;
  in.stride = (qk.columns + 15) / 16 * 16;
  in.scale = 2.5f / std::sqrt(static_cast<float>(c.dim / c.heads));
  return in;
}

inline std::vector<double> product_in_double(const InferenceInputs& in, const std::vector<float>& a,
                                             const std::vector<float>& b) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Floats = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
  const Matrix y = Floats(a.data(), in.shape.rows, in.shape.inner).cast<double>() *
                   Floats(b.data(), in.shape.columns, in.shape.inner).cast<double>().transpose();
  return {y.data(), y.data() + y.size()};
}

inline std::vector<double> gelu_codes(const InferenceInputs& in) {
  const auto twin = kernels::gelu_quantizer<double>(static_cast<double>(in.high_step), in.shape.bits);
  std::vector<double> codes;
  for (const float x : in.before_gelu) {
    const double v = static_cast<double>(x);
    codes.push_back(kernels::packed_code(twin, 0.5 * v * std::erfc(-v * std::sqrt(0.5)), in.shape.bits));
  }
  return codes;
}

inline std::vector<double> softmax_codes(const InferenceInputs& in) {
  const auto twin = kernels::softmax_quantizer<double>(kSplitShift, in.shape.bits);
  const auto tokens = static_cast<std::size_t>(in.tokens), stride = static_cast<std::size_t>(in.stride);
  std::vector<double> codes(static_cast<std::size_t>(in.heads_rows) * stride, 0.0);
  for (std::size_t row = 0; row < static_cast<std::size_t>(in.heads_rows); ++row) {
    const float* x = in.scores.data() + row * tokens;
    const double largest = static_cast<double>(*std::max_element(x, x + tokens)),
                 scale = static_cast<double>(in.scale);
    double sum = 0;
    for (std::size_t k = 0; k < tokens; ++k) sum += std::exp(scale * (static_cast<double>(x[k]) - largest));
    for (std::size_t k = 0; k < tokens; ++k) {
      codes[row * stride + k] = kernels::packed_code(
          twin, std::exp(scale * (static_cast<double>(x[k]) - largest)) / sum, in.shape.bits);
    }
  }
  return codes;
}

inline Work work_of_gemm(const kernels::TwinGemmShape& s) {
  const auto padded_to = [](int n, int tile) { return static_cast<double>((n + tile - 1) / tile * tile); };
  const double outputs = static_cast<double>(s.out_size());
  return {
      .flops = 4 * padded_to(s.rows, 128) * padded_to(s.columns, 128) * padded_to(s.inner, 64) + 4 * outputs,
      .bytes =
          static_cast<double>(s.a_size()) + static_cast<double>(s.b_size()) + 4.0 * s.columns + 4 * outputs};
}

inline void measure_inference(Trial& t, const BlockChoice& c, bool simt) {
  const auto in = t.inputs([&](std::uint64_t seed) { return load_inference(t, c, seed); });
  t.oracle("out", 1, [&] {
    return OracleOutput{
        .values = product_in_double(in[0], in[0].a_twin, in[0].b_quantized), .scale = {}, .indices = {}};
  });
  t.oracle("exact", 1, [&] {
    return OracleOutput{.values = product_in_double(in[0], in[0].a, in[0].b), .scale = {}, .indices = {}};
  });
  t.oracle("products", 1, [&] {
    const std::vector<float> a(in[0].a_uniform.begin(), in[0].a_uniform.end()),
        b(in[0].b_codes.begin(), in[0].b_codes.end());
    return OracleOutput{.values = product_in_double(in[0], a, b), .scale = {}, .indices = {}};
  });
  t.oracle("gelu codes", 1,
           [&] { return OracleOutput{.values = gelu_codes(in[0]), .scale = {}, .indices = {}}; });
  t.oracle("softmax codes", 1,
           [&] { return OracleOutput{.values = softmax_codes(in[0]), .scale = {}, .indices = {}}; });
  const auto accept = [](const char* output, double limit, const char* reason) {
    return std::vector<Accept>{
        {.output = output, .metric = ErrorMetric::relative_l2, .limit = limit, .reason = reason}};
  };
  const char* const left_out = "too many products for the SIMT engine; checked at the smoke size";
  const double n = static_cast<double>(in[0].before_gelu.size()), rows = in[0].heads_rows,
               tokens = in[0].tokens;

  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto host = [&](const char* name, const char* what, const char* output, bool quantised) {
    t.host({.name = name, .what = what, .dtype = "f32", .accept = accept(output, 1e-5, "f32 sums")},
           [&in, output, quantised](HostBench& b) -> Run {
             const InferenceInputs& of = in[b.set()];
             const auto a = b.input(quantised ? of.a_twin : of.a),
                        w = b.input(quantised ? of.b_quantized : of.b);
             const auto out = b.output<float>(output, of.shape.out_size());
             const kernels::TwinGemmShape s = of.shape;
             return [=] {
               Eigen::Map<Matrix>(out.data(), s.rows, s.columns).noalias() =
                   Eigen::Map<const Matrix>(a.data(), s.rows, s.inner) *
                   Eigen::Map<const Matrix>(w.data(), s.columns, s.inner).transpose();
             };
           });
  };
  host("eigen", "the layer in f32", "exact", false);
  host("method", "on the values that the codes stand for", "out", true);

  t.kernel({.name = "kernel",
            .what = "twin codes times s8, two sums",
            .dtype = "s8",
            .accept = accept("out", 1e-6, "exact sums, rounded once or twice"),
            .work = work_of_gemm(in[0].shape),
            .simt = simt,
            .simt_left_out = left_out},
           [&in]<class Target>(DeviceBench<Target>& b) -> Run {
             const InferenceInputs& of = in[b.set()];
             const auto a = b.input(of.codes);
             const auto w = b.input(of.b_codes);
             const auto step = b.input(of.column_step);
             const auto out = b.template output<float>("out", of.shape.out_size());
             auto& stream = b.stream();
             return [=, &of, &stream] {
               kernels::twin_gemm<Target>(stream, of.shape, of.steps, a, w, step, out);
             };
           });
  const auto library = [&](const char* name, const char* what, const char* dtype,
                           const std::vector<Accept>& limits, auto type, auto out_type, auto load) {
    using Element = decltype(type);
    using Out = decltype(out_type);
    t.vendor({.name = name, .what = what, .dtype = dtype, .accept = limits},
             [&in, load]<class Target>(DeviceBench<Target>& b) -> Run {
               const InferenceInputs& of = in[b.set()];
               const auto a = b.input(load(of, true)), w = b.input(load(of, false));
               const bool i8 = sizeof(Element) == 1;
               const auto out = b.template output<Out>(i8 ? "products" : "exact", of.shape.out_size());
               auto& product = b.template own<CublasProduct>(
                   b.stream(), baselines::MatmulProblem{
                                   .type = i8 ? baselines::MatmulType::i8 : baselines::MatmulType::f16,
                                   .transpose_a = true,
                                   .rows = of.shape.columns,
                                   .columns = of.shape.rows,
                                   .inner = of.shape.inner});
               return [=, &product] { product(w.data(), a.data(), out.data()); };
             });
  };
  library("vendor", "cublasLt int8 on uniform codes, int32 left as it is", "s8",
          accept("products", 1e-12, "integers"), std::int8_t{}, std::int32_t{},
          [](const InferenceInputs& of, bool a) { return a ? of.a_uniform : of.b_codes; });
  library("fp16", "cublasLt f16, no quantisation", "f16", accept("exact", 2e-3, "values of 11 bits"), half{},
          half{}, [](const InferenceInputs& of, bool a) {
            std::vector<half> values;
            for (const float x : a ? of.a : of.b) values.push_back(half(x));
            return values;
          });

  const auto codes_accept = [](const char* output) {
    return std::vector<Accept>{{.output = output,
                                .metric = ErrorMetric::mismatches,
                                .limit = 2e-3,
                                .reason = "values within f32's error of a tie"}};
  };
  t.kernel({.name = "codes/gelu",
            .what = "GELU that leaves twin codes",
            .dtype = "f32",
            .accept = codes_accept("gelu codes"),
            .work = {.flops = 5 * n, .bytes = 5 * n, .special = n},
            .simt = simt,
            .simt_left_out = left_out},
           [&in]<class Target>(DeviceBench<Target>& b) -> Run {
             const InferenceInputs& of = in[b.set()];
             const auto x = b.input(of.before_gelu);
             const auto codes = b.template output<std::uint8_t>("gelu codes", x.size());
             auto& stream = b.stream();
             return [=, &of, &stream] {
               kernels::gelu_twin_codes<Target>(stream, of.high_step, of.shape.bits, x, codes);
             };
           });
  t.kernel(
      {.name = "codes/softmax",
       .what = "softmax that leaves twin codes",
       .dtype = "f32",
       .accept = codes_accept("softmax codes"),
       .work = {.flops = rows * (5 * tokens + 6 * 32),
                .bytes = rows * (4 * tokens + in[0].stride),
                .special = rows * tokens},
       .simt = simt,
       .simt_left_out = left_out},
      [&in]<class Target>(DeviceBench<Target>& b) -> Run {
        const InferenceInputs& of = in[b.set()];
        const auto scores = b.input(of.scores);
        const auto codes = b.template output<std::uint8_t>(
            "softmax codes", static_cast<std::size_t>(of.heads_rows) * static_cast<std::size_t>(of.stride));
        auto& stream = b.stream();
        return [=, &of, &stream] {
          kernels::softmax_twin_codes<Target>(stream, static_cast<std::size_t>(of.heads_rows), of.tokens,
                                              of.stride, of.scale, kSplitShift, of.shape.bits, scores, codes);
        };
      });
  t.measure();
  t.speedup("kernel", "vendor");
  t.speedup("kernel", "fp16");
}

}  // namespace remeasure::experiments::twin_calibration
