// SPDX-License-Identifier: Apache-2.0
//
// Sliding-channel convolution: the cost of a grouped 1x1 convolution, but neighbouring outputs share inputs.
// What is counted (cost, windows, atomics, reach) holds on any machine; what a kernel of its own gains over
// copies of the windows, or over a dense product that ignores the zeros, takes a GPU.
#include "experiments/convolution/dsxplore_cudnn.h"
#include "experiments/convolution/dsxplore_mechanism.h"
#include "experiments/convolution/dsxplore_mixing.h"
#include "experiments/convolution/dsxplore_variants.h"

namespace remeasure::experiments {

using namespace bench;
using namespace dsxplore_layer;

namespace {

void report_memory(Trial& t, const SlidingChannelShape& s) {
  const auto metric = [&](const char* name, double value) {
    t.metric({.name = name, .value = value, .unit = "x", .exact = true});
  };
  metric("weights of a dense 1x1 over SCC's", static_cast<double>(s.inputs) / s.window);
  metric("the stack's copies over the input", static_cast<double>(s.cycle()) * s.window / s.inputs);
  metric("executed over needed flops, f32",
         kernels::scc_forward_flops(s, SlidingProduct::fma) / (2 * s.products()));
  metric("executed over needed flops, bf16",
         kernels::scc_forward_flops(s, SlidingProduct::bf16) / (2 * s.products()));
}

void measure_layer(Trial& t, const SlidingChannelShape& shape, bool simt, bool host_backward) {
  const auto in = t.inputs([&](std::uint64_t seed) { return load(t, shape, seed); });
  declare_oracles(t, shape, in[0]);
  const LayerCase c{shape, in, simt, host_backward};
  declare_host(t, c);
  declare_forward(t, c);
  declare_backward(t, c);
  declare_block(t, c);
  for (const SlidingProduct product : {SlidingProduct::fma, SlidingProduct::tf32})
    declare_cublas<float>(t, c, product);
  declare_cublas<bfloat16>(t, c, SlidingProduct::bf16);
  declare_vendor_backward(t, c);
  declare_cudnn(t, c);
  t.measure();

  t.speedup("method", "eigen");
  for (const char* pass : {"/data", "/weight"}) {
    if (host_backward) t.speedup(std::string("method") + pass, std::string("eigen") + pass);
  }
  if (has_groups(shape)) t.speedup("method", "grouped");
  for (const SlidingProduct product : {SlidingProduct::fma, SlidingProduct::tf32, SlidingProduct::bf16}) {
    t.speedup(named("kernel", product), named("vendor", product));
    const Measured over_stack = t.speedup(named("kernel", product), named("stack", product));
    if (product == SlidingProduct::tf32) t.claim("fused-speed", over_stack);
    if (product == SlidingProduct::bf16) continue;
    t.speedup(named("data", product), named("vendor/data", product));
    t.speedup(named("weight", product), named("vendor/weight", product));
  }
  t.speedup("data", "data/output-centric");
  if (has_groups(shape)) t.speedup("kernel/tf32", "grouped/cudnn");
  t.speedup("block/tf32", "block/cudnn");
  report_memory(t, shape);
}

struct Layer {
  const char* name;
  int inputs, outputs, side;
};

/// VGG16 on CIFAR-10, MobileNet's and ResNet50's 1x1 shapes.
const Layer kVgg[] = {
    {"vgg1", 64, 64, 32}, {"vgg2", 128, 128, 16}, {"vgg3", 256, 256, 8}, {"vgg4", 512, 512, 4}};
const Layer kOthers[] = {{"mobilenet", 128, 256, 8},
                         {"resnet50-expand", 64, 256, 56},
                         {"resnet50-reduce", 512, 128, 28},
                         {"resnet50-last", 512, 2048, 7}};

constexpr int kHostBatch = 4;

std::vector<CaseDefinition> cases(Size size) {
  std::vector<CaseDefinition> list;
  const auto layer = [&](const Layer& l, int batch, int groups, double overlap,
                         const std::string& left_out = "") {
    const SlidingChannelShape shape =
        SlidingChannelShape::of(batch, l.inputs, l.outputs, l.side, l.side, groups, overlap);
    // Ten kernels; the engine runs some ten million products a second.
    const bool simt = shape.products() < 1e7;
    // On a CPU the gradients of VGG's layers alone: each variant takes seconds.
    const bool host_backward = size == Size::smoke || (batch == kHostBatch && groups == 2 && overlap == 0.5 &&
                                                       l.inputs == l.outputs);
    list.push_back({.name = {{"layer", l.name},
                             {"B", std::to_string(batch)},
                             {"g", std::to_string(groups)},
                             {"co", fmt::format("{}", overlap)}},
                    .run = [=](Trial& t) { measure_layer(t, shape, simt, host_backward); },
                    .left_out = left_out});
  };
  const auto mechanism = [&](const char* name, auto run) {
    list.push_back({.name = {{"mechanism", name}}, .run = run, .priority = 1});
  };
  const bool smoke = size == Size::smoke;
  const std::vector<int> widths = smoke ? std::vector<int>{32, 64} : std::vector<int>{64, 128, 256, 512};
  mechanism("cost", [=](Trial& t) { dsxplore_mechanism::measure_cost(t, widths); });
  mechanism("cycle", [=](Trial& t) { dsxplore_mechanism::measure_cycle(t, widths); });
  mechanism("reach", [=](Trial& t) { dsxplore_mechanism::measure_reach(t, widths); });
  if (smoke) {
    mechanism("atomics", [](Trial& t) {
      dsxplore_mechanism::measure_atomics(t, {SlidingChannelShape::of(2, 32, 32, 8, 8, 2, 0.5),
                                              SlidingChannelShape::of(1, 48, 40, 5, 5, 4, 0.33)});
    });
    list.push_back({.name = {{"mixing", "C=32"}}, .run = [](Trial& t) {
                      dsxplore_mixing::measure_mixing(t, {.steps = 1000, .batch = 64}, 2, {0, 0.5});
                    }});
    layer({"small", 32, 48, 8}, 2, 2, 0.5);
    layer({"wrap", 48, 64, 5}, 2, 2, 0.33);
    return list;
  }
  mechanism("atomics", [](Trial& t) {
    std::vector<SlidingChannelShape> shapes;
    for (const Layer& l : kVgg) {
      for (const double overlap : {0.33, 0.5})
        shapes.push_back(SlidingChannelShape::of(1, l.inputs, l.outputs, l.side, l.side, 2, overlap));
    }
    dsxplore_mechanism::measure_atomics(t, shapes);
  });
  list.push_back({.name = {{"mixing", "C=32"}}, .run = [](Trial& t) {
                    dsxplore_mixing::measure_mixing(t, {}, 8, {0, 0.125, 0.25, 0.33, 0.5, 0.75, 0.9});
                  }});
  const bool gpu = Device<Cuda>::count() > 0;
  const auto both = [&](const Layer& l, int groups, double overlap) {
    layer(l, kHostBatch, groups, overlap);
    // ImageNet's shapes have as many pixels with a quarter of the batch.
    layer(l, l.side == 28 || l.side > 32 ? 32 : 128, groups, overlap,
          gpu ? "" : fmt::format("for the GPU's kernels; the CPU's share has a batch of {}", kHostBatch));
  };
  for (const Layer& l : kVgg) both(l, 2, 0.5);
  // The authors' grid, on one layer: g, and the overlap.
  for (const int groups : {1, 4, 8}) both(kVgg[1], groups, 0.5);
  for (const double overlap : {0.25, 0.33, 0.75}) both(kVgg[1], 2, overlap);
  for (const Layer& l : kOthers) both(l, 2, 0.5);
  return list;
}

}  // namespace

extern const Experiment dsxplore;
const Experiment dsxplore = {
    .paper = {.id = "dsxplore",
              .title = "DSXplore: Optimizing Convolutional Neural Networks via Sliding-Channel Convolutions",
              .authors = "Yuke Wang, Boyuan Feng, Yufei Ding",
              .venue = "IPDPS 2021",
              .arxiv = "2101.00745",
              .summary =
                  "1x1 convolutions whose outputs read windows of channels that slide and overlap, as banded "
                  "products; a gradient without atomics"},
    .claims =
        {{.id = "cost-cut",
          .text =
              "multiplications of DW+SCC: those of DW+GPW, and a small share of a standard 3x3 convolution",
          .reported_text = "(9 Cin + Cout Cin / g) / (9 Cin Cout) of a standard convolution",
          .unit = "",
          .on = "any",
          .source = "abstract (direction); the formula follows from the operator",
          .any_size = true},
         {.id = "quality",
          .text = "at equal cost SCC is more accurate than GPW",
          .reported_text = "a better balance of accuracy and cost",
          .unit = "",
          .on = "CIFAR-10 and ImageNet; VGG, ResNet, MobileNet",
          .source = "abstract",
          .needs = Needs::elsewhere,
          .instead =
              "needs whole networks trained on CIFAR-10 or ImageNet; the case 'mixing' tests the mechanism",
          .real_data = true},
         {.id = "fused-speed",
          .text = "a kernel for SCC over copies of the windows and a product for each, TF32",
          .reported = {1, 1},
          .tolerance = 0,
          .tolerance_reason = "a direction: any factor above 1",
          .on = "NVIDIA GPU; layers of VGG, ResNet, MobileNet at CIFAR's size",
          .source = "abstract (\"off-the-shelf\" schemes lack support), without a figure",
          .needs = Needs::gpu,
          .is_time = true},
         {.id = "input-centric",
          .text = "atomic additions of the input's gradient",
          .reported_text = "0 input-centric, B Cout H W gw output-centric",
          .unit = "",
          .on = "any",
          .source = "kernel source of the authors' repository",
          .any_size = true},
         {.id = "cyclic",
          .text = "only Cin / gcd(Cin, step) different windows exist",
          .reported_text = "m = Cin / gcd(Cin, step)",
          .unit = "",
          .on = "any",
          .source = "models/DW_SCC.py of the authors' repository",
          .any_size = true}},
    .cases = cases,
    .notes =
        {"The step is an integer, gw - floor(co gw), everywhere. The authors' CUDA code begins window c at "
         "floor(c (1 - co) gw), a product of floats, which for co = 0.33 isn't where their own Python code "
         "begins it.",
         "Outputs are sorted by the start of their windows, not by the window's number: then 64 of them read "
         "a union of gw + 64 Cin / Cout channels at most whatever the step, and any 16 make a full "
         "tensor-core tile with few zeros. 'executed over needed flops' is what those zeros cost.",
         "The dense product ('vendor') does g times the multiplications, with a library's best kernel: where "
         "channels are few it may win. It is the base that a user of today has; the paper's is the stack of "
         "copies.",
         "On a CPU a product for each different window ('method') gains nearly what g promises where windows "
         "have many outputs; with co = 0.33 each has two, and a dense product is faster.",
         "With g = 1 all windows hold all channels, and SCC is a dense 1x1 convolution whose weights are "
         "rotated.",
         "Grouped layers of equal cost ('grouped', 'grouped/cudnn') are another operation, with its own "
         "oracle.",
         "What mixes isn't the overlap alone. Without any overlap SCC's outputs take the windows in turn, as "
         "after a channel shuffle, and two layers reach everything: in the linear fit that takes most of the "
         "way from GPW's residual to none, the overlap the rest; with ReLU the overlap changes nothing that "
         "the seeds' spread shows.",
         "Two SCC layers hold C^2 weights with g = 2, as one dense layer does; the residual that is left is "
         "theirs, not the optimiser's alone: a product of two banded matrices isn't every matrix. With ReLU "
         "no student of these sizes but the standard one with twice the weights learns the teacher; only the "
         "order is judged.",
         "dw on cuBLAS is a dense gradient for each image and their sum; a user would have cuDNN do it in "
         "one call."},
};

}  // namespace remeasure::experiments
