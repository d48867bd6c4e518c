// SPDX-License-Identifier: Apache-2.0
//
// Neighborhood attention: a query sees a window of keys around it. The paper's kernels do in tiles, on tensor
// cores, what naive ones did a pair at a time; fused, the weights never reach memory.
#include <algorithm>

#include "bench/scaling.h"
#include "experiments/attention/neighborhood_problem.h"

namespace remeasure::experiments {

using namespace bench;
using namespace neighborhood;

namespace {

/// The same shape with every query seeing everything: what a library without windows computes.
NeighborhoodShape everything(NeighborhoodShape shape) {
  for (NeighborhoodAxis& axis : shape.axes) axis = {axis.length, axis.length, 1, false};
  return shape;
}

void measure(Trial& t, const NeighborhoodShape& shape, bool on_cpu, bool h100_setting) {
  const auto in = t.inputs([&](std::uint64_t seed) { return load(t, shape, seed); });
  const std::vector<std::size_t> rows = checked_rows(shape);
  const auto scale = static_cast<double>(scale_of(shape));
  const kernels::NeighborhoodRows exact =
      kernels::neighborhood_rows(shape, scale, in[0].query, in[0].key, in[0].value, rows);
  t.oracle("out", 1, [&] { return oracle_of(shape, rows, exact.output, false); });
  t.oracle("dense", 1, [&] { return oracle_of(shape, rows, exact.output, true); });
  t.oracle("full", 1, [&] {
    const NeighborhoodShape full = everything(shape);
    const std::vector<std::size_t> few(
        rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(rows.size(), 64)));
    return oracle_of(full, few,
                     kernels::neighborhood_rows(full, scale, in[0].query, in[0].key, in[0].value, few).output,
                     true);
  });
  const bool simt = kernels::executed_pairs(shape) * shape.dim < 4e7;
  const NeighborhoodCase c{shape, in, simt};
  if (on_cpu) declare_host(t, c);
  declare_fused(t, c);
  if (!h100_setting) {
    for (const bool tiled : {false, true}) {
      declare_unfused<half>(t, c, tiled, 6e-3, "scores and weights rounded to 11 bits");
      declare_unfused<float>(t, c, tiled, 1e-5, kSingleReason);
    }
  }
  declare_vendor(t, c);
  t.measure();

  const std::string rank = shape.rank() == 1 ? "-1d" : "-2d";
  if (h100_setting) {
    t.claim("fna-h100-1d", t.speedup("kernel", "sdpa"));
  } else {
    const Measured fused = t.speedup("kernel", "naive"), unfused = t.speedup("gemm", "naive"),
                   single = t.speedup("gemm/f32", "naive/f32");
    t.speedup("kernel", "sdpa");
    if (shape.rank() < 3) {
      t.claim("fna-fp16" + rank, fused);
      t.claim("gemm-fp16" + rank, unfused);
      t.claim("gemm-fp32" + rank, single);
    }
  }
  if (on_cpu && shape.tokens() <= 4096) t.speedup("method", "dense");
  t.metric({.name = "useful share of the multiplied pairs",
            .value = kernels::useful_pairs(shape) / kernels::executed_pairs(shape),
            .unit = "",
            .exact = true});
  t.metric({.name = "weights of the unfused form over log-sum-exp of the fused",
            .value = static_cast<double>(shape.window()) / 2,
            .unit = "x",
            .exact = true});
}

/// Bytes that the fused kernel holds beyond its inputs and output, at two windows, by the allocator's own
/// account.
void measure_memory(Trial& t) {
  std::vector<double> extra;
  for (const int window : {5, 61}) {
    const NeighborhoodShape shape{1, 2, 16, {NeighborhoodAxis{128, window}}};
    Device<Simt> device;
    Stream<Simt> stream(device);
    DeviceBuffer<Simt, half> q(device, shape.elements(), MemoryUse::input),
        k(device, shape.elements(), MemoryUse::input), v(device, shape.elements(), MemoryUse::input),
        out(device, shape.elements(), MemoryUse::output);
    DeviceBuffer<Simt, float> lse(device, shape.rows(), MemoryUse::workspace);
    for (auto* buffer : {&q, &k, &v}) stream.fill_bytes(buffer->span(), 0);
    kernels::fused_neighborhood_attention<Simt, half>(stream, shape, scale_of(shape), q, k, v, out, lse);
    stream.synchronize();
    extra.push_back(static_cast<double>(device.ledger().peak(MemoryUse::workspace)));
  }
  t.metric({.name = "fused: bytes beyond input and output, window 5",
            .value = extra[0],
            .unit = "bytes",
            .exact = true});
  t.metric({.name = "fused: bytes beyond input and output, window 61",
            .value = extra[1],
            .unit = "bytes",
            .exact = true});
  t.claim(
      "mem-const", extra[0] == extra[1],
      fmt::format(
          "{} bytes at window 5 and {} at window 61 (log-sum-exp); the unfused form has weights of {} and {}",
          extra[0], extra[1], 2 * 2 * 128 * 5, 2 * 2 * 128 * 61));
}

/// One thread, one head, window 63: dense attention grows with tokens^2, a neighborhood with tokens.
void measure_scaling(Trial& t, const std::vector<int>& lengths) {
  struct Way {
    const char* name;
    void (*run)(const NeighborhoodShape&, float, std::span<const float>, std::span<const float>,
                std::span<const float>, std::span<float>, int);
  };
  const Way ways[] = {{"dense", baselines::neighborhood_masked_eigen},
                      {"gathered", baselines::neighborhood_gathered_eigen},
                      {"tiled", kernels::neighborhood_attention_tiled}};
  std::vector<std::unique_ptr<InputSets<Inputs>>> sets;
  for (const int length : lengths) {
    const NeighborhoodShape shape{1, 1, 32, {NeighborhoodAxis{length, 63}}};
    sets.push_back(std::make_unique<InputSets<Inputs>>(
        t.inputs([&](std::uint64_t seed) { return load(t, shape, seed); })));
    const auto& in = *sets.back();
    const std::string output = fmt::format("out {}", length);
    t.oracle(output, 1, [shape, &in] {
      const std::vector<std::size_t> rows = checked_rows(shape);
      return oracle_of(shape, rows,
                       kernels::neighborhood_rows(shape, static_cast<double>(scale_of(shape)), in[0].query,
                                                  in[0].key, in[0].value, rows)
                           .output,
                       false);
    });
    for (const Way& way : ways) {
      t.host({.name = fmt::format("{}/n={}", way.name, length),
              .what = "one thread, window 63",
              .dtype = "f32",
              .accept = accept(output, 1e-5, kSingleReason),
              .threads = 1},
             [&in, shape, output, run = way.run](HostBench& b) -> Run {
               const Inputs& of = in[b.set()];
               const auto q = b.input(of.query), k = b.input(of.key), v = b.input(of.value);
               const auto out = b.output<float>(output, q.size());
               return [=] { run(shape, scale_of(shape), q, k, v, out, 1); };
             });
    }
  }
  t.measure();
  report_scaling(t, {.title = "Time against the number of tokens, window 63",
                     .symbol = "n",
                     .sizes = lengths,
                     .methods = {{"dense"}, {"gathered"}, {"tiled"}},
                     .axis = "tokens",
                     .exponent_of = "the tokens"});
}

CaseName name_of(const NeighborhoodShape& shape) {
  std::string lengths, windows, dilations;
  for (int i = 0; i < shape.rank(); ++i) {
    const NeighborhoodAxis& axis = shape.axes[static_cast<std::size_t>(i)];
    const char* between = i == 0 ? "" : "x";
    lengths += fmt::format("{}{}", between, axis.length);
    windows += fmt::format("{}{}", between, axis.window);
    dilations += fmt::format("{}{}", between, axis.dilation);
  }
  return {{"n", lengths},
          {"w", windows},
          {"e", dilations},
          {"H", std::to_string(shape.heads)},
          {"d", std::to_string(shape.dim)}};
}

std::vector<CaseDefinition> cases(Size size) {
  std::vector<CaseDefinition> list;
  const bool gpu = Device<Cuda>::count() > 0;
  const auto add = [&](const NeighborhoodShape& shape, bool on_cpu, bool h100_setting = false) {
    list.push_back({.name = name_of(shape),
                    .run = [=](Trial& t) { measure(t, shape, on_cpu, h100_setting); },
                    .left_out = on_cpu || gpu ? "" : "for the GPU's kernels"});
  };
  if (size == Size::smoke) {
    add({1, 2, 16, {NeighborhoodAxis{96, 13}}}, true);
    add({1, 2, 16, {NeighborhoodAxis{96, 13, 3}}}, true);
    add({1, 2, 16, {NeighborhoodAxis{12, 5, 2}, NeighborhoodAxis{10, 3}}}, true);
    add({1, 2, 16, {NeighborhoodAxis{4, 3}, NeighborhoodAxis{5, 3}, NeighborhoodAxis{6, 3}}}, true);
    list.push_back({.name = {{"memory", "fused"}}, .run = measure_memory});
    list.push_back({.name = {{"scaling", "n"}}, .run = [](Trial& t) {
                      measure_scaling(t, {128, 256, 512});
                    }});
    return list;
  }
  for (const int n : {4096, 16'384, 65'536}) {
    for (const int w : {127, 511, 2047}) {
      if (n == 4096) add({1, 2, 64, {NeighborhoodAxis{n, w}}}, true);
      add({1, 12, 64, {NeighborhoodAxis{n, w}}}, false);
    }
  }
  for (const int n : {56, 128, 256}) {
    for (const int w : {7, 13, 31, 63}) {
      if (w > n) continue;
      for (const int e : {1, n / w}) {
        if (e == 1 && n == 56) add({1, 2, 32, {NeighborhoodAxis{n, w, e}, NeighborhoodAxis{n, w, e}}}, true);
        if (e == 1 || n / w > 1)
          add({1, 12, 32, {NeighborhoodAxis{n, w, e}, NeighborhoodAxis{n, w, e}}}, false);
        if (n / w == 1) break;
      }
    }
  }
  add({1, 1, 128, {NeighborhoodAxis{32'768, 2048}}}, false, true);
  list.push_back({.name = {{"memory", "fused"}}, .run = measure_memory});
  list.push_back({.name = {{"scaling", "n"}}, .run = [](Trial& t) {
                    measure_scaling(t, {256, 512, 1024, 2048, 4096});
                  }});
  return list;
}

Claim mean_gain(const char* id, const char* text, double reported) {
  return {.id = id,
          .text = text,
          .reported = {reported, reported},
          .tolerance_reason = "the paper's list of sizes isn't known; ours has long and short windows",
          .on = "A100 (recalled), many sizes",
          .source = "abstract",
          .needs = Needs::gpu,
          .over = Over::mean,
          .is_time = true};
}

}  // namespace

extern const Experiment neighborhood_attention;
const Experiment neighborhood_attention = {
    .paper = {.id = "neighborhood-attention",
              .title = "Faster Neighborhood Attention: Reducing the O(n^2) Cost of Self Attention at the "
                       "Threadblock Level",
              .authors = "Ali Hassani, Wen-Mei Hwu, Humphrey Shi",
              .venue = "NeurIPS 2024",
              .arxiv = "2403.04690",
              .summary = "Attention over a window of keys around each query, in tiles on tensor cores; "
                         "fused, or with the weights in memory"},
    .claims = {mean_gain("gemm-fp32-1d", "unfused tiles over naive kernels, fp32, 1-D, mean", 9.95),
               mean_gain("gemm-fp32-2d", "unfused tiles over naive kernels, fp32, 2-D, mean", 3.72),
               mean_gain("gemm-fp16-1d", "unfused tiles over naive kernels, fp16, 1-D, mean", 5.96),
               mean_gain("gemm-fp16-2d", "unfused tiles over naive kernels, fp16, 2-D, mean", 2.13),
               mean_gain("fna-fp16-1d", "fused over naive kernels, fp16, 1-D, mean", 17.07),
               mean_gain("fna-fp16-2d", "fused over naive kernels, fp16, 2-D, mean", 6.81),
               {.id = "mem-const",
                .text = "memory of the fused form beyond input and output doesn't grow with the window",
                .reported_text = "no tensor of weights",
                .unit = "",
                .on = "any",
                .source = "abstract",
                .any_size = true},
               {.id = "fna-h100-1d",
                .text = "fused over cuDNN's dense attention, n = 32768, window 2048, d = 128",
                .reported = {8.3, 8.3},
                .tolerance_reason = "a kernel for sm_90 alone there, sm_80's instructions here",
                .on = "H100, batch 1, 1 head, fp16",
                .source = "sample outputs of the authors' repository, not the paper",
                .needs = Needs::gpu,
                .is_time = true},
               {.id = "gemm-v100-1d",
                .text = "forward and backward, 1-D, unfused tiles over naive kernels",
                .reported = {3.18, 3.18},
                .on = "V100-SXM2, fp16, an earlier release",
                .source = "pull request 47 of the authors' repository",
                .needs = Needs::elsewhere,
                .instead = "needs a backward pass, which this experiment doesn't have",
                .is_time = true}},
    .cases = cases,
    .notes =
        {"fp32 on tensor cores is three products of TF32, with fp32's accuracy; what the paper's \"full "
         "precision\" does isn't in its abstract.",
         "Naive means a thread per pair of query and key and per two columns of the output, half read two at "
         "a time. The authors' old library also had tiled 2-D kernels for head dim 32 and windows up to 13, "
         "a fairer base there, which isn't built.",
         "'vendor' is dense attention under a mask, the same operation; 'sdpa' has no mask and computes "
         "another one: it is what all pairs cost at best.",
         "The mean of the improvements in percent is the mean of the ratios less one: one number says both.",
         "Windows that aren't causal are shifted at the borders, not cut. The control that cuts them differs "
         "at the border only (unit tests)."},
};

}  // namespace remeasure::experiments
