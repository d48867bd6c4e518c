// SPDX-License-Identifier: Apache-2.0
//
// FlashRNN: recurrent layers that can't be parallelised over time, made fast by keeping R on chip for all
// steps. Its factors are over frameworks that launch every operation; against cuDNN, which fuses too, the
// authors' own table has it lose where cuDNN can run.
#include "experiments/sequences/flashrnn_reports.h"
#include "experiments/sequences/flashrnn_variants.h"

namespace remeasure::experiments {

using namespace bench;
using namespace flashrnn_layer;

namespace {

void measure_layer(Trial& t, const RnnShape& shape, bool simt, bool on_cpu, bool trains, bool in_table) {
  const auto in = t.inputs([&](std::uint64_t seed) { return load(t, shape, seed); });
  const std::vector<double> exact = exact_states(shape, in[0]);
  const Sample sample(shape);
  t.oracle("states", 1, [&] { return sample.oracle(exact, false); });
  if (shape.cell == Cell::lstm && shape.heads == 1)
    t.oracle("hidden", 1, [&] { return sample.oracle(exact, true); });
  if (trains) t.oracle("gradient", 1, [&] { return input_gradient_oracle(shape, in[0]); });
  const LayerCase c{shape, in, simt, trains};
  if (on_cpu) declare_host(t, c);
  declare_fused<bfloat16>(t, c, "kernel", 2e-2, kHalfReason);
  declare_fused<float>(t, c, "kernel/f32", single_limit(shape), kSingleReason);
  declare_steps(t, c);
  declare_cudnn(t, c);
  declare_linear(t, c);
  declare_attention(t, c);
  t.measure();

  if (on_cpu) t.speedup("method", "eigen");
  const Measured over_alternating = t.speedup("kernel", "alternating");
  if (shape.cell != Cell::lstm) return;
  const Measured over_vanilla = t.speedup("kernel", "vanilla");
  t.speedup("alternating", "vanilla");
  if (shape.heads == 1) {
    t.speedup("kernel", "vendor");
    t.speedup("kernel/linear", "vendor");
    t.speedup("alternating", "vendor");
  }
  if (shape.dim <= 256) t.speedup("kernel", "sdpa");
  if (!in_table) return;
  t.claim(fmt::format("fw-{}", shape.dim), t.time("kernel") * 1e3);
  if (trains) t.claim(fmt::format("fwbw-{}", shape.dim), t.time("fwbw") * 1e3);
  t.claim("fused-vs-alt", over_alternating);
  if (shape.dim == 64) t.claim("x50", over_vanilla);
  if (shape.dim <= 256) t.claim("fa2-fw", t.time("sdpa") * 1e3);
}

std::vector<CaseDefinition> cases(Size size) {
  std::vector<CaseDefinition> list;
  const bool gpu = Device<Cuda>::count() > 0;
  const auto layer = [&](const RnnShape& shape, bool simt, bool on_cpu, bool trains, bool in_table,
                         std::string left_out = "", int priority = 0) {
    list.push_back({.name = {{"cell", name_of(shape.cell)},
                             {"B", std::to_string(shape.batch)},
                             {"T", std::to_string(shape.steps)},
                             {"N", std::to_string(shape.heads)},
                             {"D", std::to_string(shape.dim)}},
                    .run = [=](Trial& t) { measure_layer(t, shape, simt, on_cpu, trains, in_table); },
                    .left_out = std::move(left_out),
                    .priority = priority});
  };
  const auto others = [&](std::size_t steps, bool s5, const std::vector<int>& dims) {
    list.push_back({.name = {{"state tracking", std::to_string(steps)}},
                    .run = [=](Trial& t) { measure_tracking(t, steps, s5); }});
    list.push_back({.name = {{"sizes", "model"}}, .run = [](Trial& t) { measure_sizes(t); }});
    list.push_back({.name = {{"scaling", "D"}}, .run = [=](Trial& t) { measure_scaling(t, dims); }});
  };
  if (size == Size::smoke) {
    for (const Cell cell : {Cell::lstm, Cell::elman, Cell::gru, Cell::slstm})
      layer({cell, 2, 16, 2, 16}, true, true, cell == Cell::lstm, false);
    layer({Cell::lstm, 2, 4, 1, 144}, true, true, false, false);  // blocks that exchange h
    others(512, false, {32, 64, 128, 256});
    return list;
  }
  const std::string for_gpu = gpu ? "" : "for the GPU's kernels; the CPU's share has a batch of 2";
  for (const int dim : kHeadDims) {
    if (!gpu) layer({Cell::lstm, 2, 1024, 768 / dim, dim}, false, true, false, false);
    layer({Cell::lstm, 16, 1024, 768 / dim, dim}, false, gpu, gpu, true, for_gpu, dim == 64 ? 2 : 1);
  }
  for (const auto& [heads, dim] : {std::pair{12, 64}, std::pair{1, 768}}) {
    // Large batches with fewer steps: their inputs alone would be 3 GB.
    for (const auto& [batch, steps] :
         {std::pair{2, 1024}, {8, 1024}, {32, 1024}, {64, 1024}, {128, 256}, {256, 256}}) {
      if (gpu || batch != 2)
        layer({Cell::lstm, batch, steps, heads, dim}, false, false, false, false, for_gpu);
    }
    for (const int steps : {256, 512, 2048})
      layer({Cell::lstm, 16, steps, heads, dim}, false, false, false, false, for_gpu);
  }
  for (const Cell cell : {Cell::elman, Cell::gru, Cell::slstm})
    layer({cell, 16, 1024, 12, 64}, false, gpu, false, false, for_gpu);
  others(4096, true, {32, 64, 128, 256, 512});
  return list;
}

const char* const kSetting = "H100 (recalled), LSTM, B=16, T=1024, bf16, 768 units";

Claim forward_row(int dim, double fused, const char* triton, double alternating, double vanilla) {
  return {
      .id = fmt::format("fw-{}", dim),
      .text = fmt::format("forward, {} heads of {}, fused (Triton {}, alternating {}, vanilla PyTorch {} ms)",
                          768 / dim, dim, triton, alternating, vanilla),
      .reported = {fused, fused},
      .unit = "ms",
      .better = Better::lower,
      .no_effect = vanilla,
      .on = kSetting,
      .source = "head_dim--lstm.svg of the authors' repository",
      .needs = Needs::gpu,
      .is_time = true};
}

Claim training_row(int dim, double fused, const char* triton, double alternating, double vanilla) {
  return {
      .id = fmt::format("fwbw-{}", dim),
      .text = fmt::format(
          "forward and backward, {} heads of {}, alternating (fused {}, Triton {}, vanilla PyTorch {} ms)",
          768 / dim, dim, fused, triton, vanilla),
      .reported = {alternating, alternating},
      .unit = "ms",
      .better = Better::lower,
      .no_effect = vanilla,
      .on = kSetting,
      .source = "head_dim--lstm.svg of the authors' repository",
      .needs = Needs::gpu,
      .is_time = true};
}

}  // namespace

extern const Experiment flashrnn;
const Experiment flashrnn = {
    .paper = {.id = "flashrnn",
              .title = "FlashRNN: I/O-Aware Optimization of Traditional RNNs on modern hardware",
              .authors = "Korbinian Poeppel, Maximilian Beck, Sepp Hochreiter",
              .venue = "ICLR 2025",
              .arxiv = "2412.07752",
              .summary = "Recurrent layers with heads in one launch: R stays in registers and shared memory "
                         "through all steps"},
    .claims =
        {forward_row(16, 3.56, "1.97", 7.84, 150.16),
         forward_row(32, 2.90, "1.44", 8.12, 149.71),
         forward_row(64, 3.10, "1.99", 8.19, 152.03),
         forward_row(128, 3.22, "3.23", 8.80, 146.64),
         forward_row(256, 3.62, "out of shared memory", 10.47, 154.16),
         forward_row(768, 4.87, "out of shared memory, nn.LSTM of cuDNN 2.01, Haste f32 18.41", 10.79,
                     147.47),
         training_row(16, 8.22, "3.47", 17.88, 479.6),
         training_row(32, 8.20, "4.10", 18.8, 495.8),
         training_row(64, 8.64, "18.94", 20.5, 500.4),
         training_row(128, 9.02, "none", 21.66, 485.6),
         training_row(256, 11.3, "none", 33.48, 542.1),
         training_row(768, 13.61, "none, nn.LSTM of cuDNN 5.19, Haste f32 43.86", 26.49, 484.3),
         {.id = "fwbw-fused",
          .text = "forward and backward, fused, head dims 16 to 768",
          .reported = {8.20, 13.61},
          .unit = "ms",
          .better = Better::lower,
          .no_effect = 479.6,
          .on = kSetting,
          .source = "head_dim--lstm.svg of the authors' repository",
          .needs = Needs::elsewhere,
          .instead = "the backward pass is built in its alternating form alone; a fused one would keep R^T "
                     "on chip as the forward one keeps R",
          .is_time = true},
         {.id = "x50",
          .text =
              "fused over vanilla, forward, 12 heads of 64 (there PyTorch, here C++: its launches cost less)",
          .reported = {50, 50},
          .tolerance_reason = "one figure's ratio is 49",
          .on = kSetting,
          .source = "abstract",
          .needs = Needs::gpu,
          .is_time = true},
         {.id = "x40-hidden",
          .text =
              "hidden size that fits all blocks over that of one block (their CUDA over their Triton kernel)",
          .reported = {40, 40},
          .on = "their GPUs",
          .source = "abstract",
          .any_size = true},
         {.id = "fused-vs-alt",
          .text = "fused over alternating, forward, head dims 16 to 768",
          .reported = {2, 5},
          .tolerance_reason = "the figure itself has 2.2 to 2.9",
          .on = kSetting,
          .source = "README of the authors' repository",
          .needs = Needs::gpu,
          .is_time = true},
         {.id = "fa2-fw",
          .text = "attention over the same tokens (FlashAttention-2 causal there, cuDNN without a mask "
                  "here), head dims 16 to 256",
          .reported = {0.13, 0.54},
          .unit = "ms",
          .better = Better::lower,
          .no_effect = 3.56,
          .on = kSetting,
          .source = "head_dim--lstm.svg of the authors' repository",
          .needs = Needs::gpu,
          .is_time = true}},
    .cases = cases,
    .notes =
        {"The kernel here splits units over blocks, not gates and previous units as the authors' does: a "
         "warp has all gates of its 16 units, so a step needs one barrier (of the block up to a head dim of "
         "128, of the grid above), not two grid barriers and partial sums in memory.",
         "W x is outside of all times but cuDNN's ('vendor'), which can't leave its linear layer out, and "
         "that of 'kernel/linear', which stands beside it. In the authors' figure cuDNN is faster at one "
         "head of 768 (2.01 against 4.87 ms), the only one it can run.",
         "The backward pass is alternating; the rows fwbw are compared with the authors' alternating column.",
         "The inputs of a layer's gates are shifts of one N(0, 1) sequence: the dataset is a quarter as "
         "large, and cuDNN's linear layer gives them exactly.",
         "'vanilla' launches 14 operations a step from C++; PyTorch's cost of a launch, which the factor of "
         "50 rests on, isn't in it.",
         "Their ConstrINT rules have no solution for their own test (2976 units, one gate, 108 blocks of "
         "165,000 bytes): by memory it needs 108 blocks, and the divisors of 2976 multiply to 93, 96 or 124. "
         "The prime table of the reference lists 91.",
         "By shared memory alone, all blocks hold a hidden size about sqrt(multiprocessors) times that of "
         "one block, 10 to 12; the factor of 40 rests on what else limits their Triton kernel.",
         "On a CPU 'method' (a head at a time) has scalar cells and 'eigen' vectorised ones, and the "
         "exponentials cost more than R's way from memory: 'method' is the slower, and level at one head of "
         "768.",
         "sLSTM's first step is recognised by each element's n, not by the whole tensor's."},
};

}  // namespace remeasure::experiments
