// SPDX-License-Identifier: Apache-2.0
//
// APNN-TC: products of codes of a few bits out of one-bit products on tensor cores. The method is exact; what
// is measured is whether one-bit operands pay beside the int8 and half of a vendor's library.
#include "experiments/precision/apnn_tc_law.h"
#include "experiments/precision/apnn_tc_measure.h"

namespace remeasure::experiments {

using namespace bench;
using namespace apnn;

namespace {

struct Bits {
  int p, q;
  Encoding encoding;
};
constexpr Encoding kAnd = Encoding::unsigned_codes, kMixed = Encoding::signed_weights, kXor = Encoding::signs;
/// The paper's pairs, each with the encoding that a network would use, and the rest of the encodings.
constexpr Bits kPairs[] = {{1, 1, kXor}, {1, 2, kMixed}, {1, 3, kMixed}, {1, 4, kMixed},
                           {2, 2, kAnd}, {1, 8, kMixed}, {2, 8, kAnd},   {4, 4, kAnd}};
constexpr Bits kOtherEncodings[] = {{1, 1, kAnd}, {1, 2, kAnd}, {1, 3, kAnd}, {1, 4, kAnd}, {1, 8, kAnd}};

struct CaseList {
  std::vector<CaseDefinition> cases;
  bool gpu = Device<Cuda>::count() > 0;

  /// sums[N, M] of X [N, K] and W [M, K].
  void product(int m, int n, int k, const Bits& bits, const Plan& plan, bool for_gpu = false) {
    const LowBitShape shape = kernels::low_bit_product(n, m, k, bits.p, bits.q, bits.encoding);
    add({{"op", "gemm"},
         {"M", std::to_string(m)},
         {"N", std::to_string(n)},
         {"K", std::to_string(k)},
         {"bits", bits_name(shape)},
         {"enc", to_string(bits.encoding)}},
        shape, plan, for_gpu);
  }
  /// 3 x 3 over 16 x 16, C in and out.
  void convolution(int extent, int c, const Bits& bits, const Plan& plan, bool for_gpu = false) {
    const LowBitShape shape =
        kernels::low_bit_convolution(1, extent, c, c, 3, 1, bits.p, bits.q, bits.encoding);
    add({{"op", "conv3x3"},
         {"H", std::to_string(extent)},
         {"C", std::to_string(c)},
         {"bits", bits_name(shape)},
         {"enc", to_string(bits.encoding)}},
        shape, plan, for_gpu);
  }
  void network(const NamedNetwork& named, const NetworkSize& size, bool simt, bool for_gpu = false) {
    cases.push_back({.name = {{"op", named.name},
                              {"B", std::to_string(size.images)},
                              {"H", std::to_string(size.extent)},
                              {"width", fmt::format("1/{}", size.divide)},
                              {"bits", fmt::format("w1a{}", size.activation_bits)}},
                     .run = [=, &named](Trial& t) { measure_network(t, named, size, simt); },
                     .left_out = for_gpu && !gpu ? "for the GPU's kernels" : "",
                     .priority = 1});
  }
  void law(int m, int n, int k) {
    cases.push_back({.name = {{"law", "p*q"},
                              {"M", std::to_string(m)},
                              {"N", std::to_string(n)},
                              {"K", std::to_string(k)}},
                     .run = [=](Trial& t) { measure_law(t, n, m, k); }});
  }

 private:
  void add(CaseName name, const LowBitShape& shape, const Plan& plan, bool for_gpu) {
    cases.push_back({.name = std::move(name),
                     .run = [=](Trial& t) { measure_layer(t, shape, plan); },
                     .left_out = for_gpu && !gpu ? "for the GPU's kernels" : ""});
  }
};

std::vector<CaseDefinition> cases(Size size) {
  CaseList list;
  if (size == Size::smoke) {
    const Plan simt_alone{.host = false};
    for (const Bits& bits : kPairs) list.product(32, 32, 256, bits, simt_alone);
    for (const Bits& bits : kOtherEncodings) list.product(32, 32, 256, bits, simt_alone);
    list.product(64, 512, 512, kPairs[1], {});
    list.convolution(8, 32, kPairs[1], {});
    list.network(kAlexnet, {.images = 1, .extent = 32, .divide = 16, .activation_bits = 2}, true);
    list.law(64, 256, 1024);
    return list.cases;
  }
  for (int n = 128; n <= 1024; n += 128) {
    for (std::size_t i = 0; i < 5; ++i)
      list.product(64, n, n, kPairs[i], {.simt = n == 128, .planes = true}, n % 512 != 0 && n != 128);
  }
  for (std::size_t i = 5; i < 8; ++i) list.product(64, 1024, 1024, kPairs[i], {.simt = false});
  for (int c = 128; c <= 1024; c += 128) {
    const bool few = c == 128 || c == 512;  // the rest is much the same on a CPU
    list.convolution(16, c, kPairs[1], {.simt = c == 128}, !few && c != 1024);
    list.convolution(16, c, kPairs[4], {.simt = c == 128}, !few);
  }
  for (const int n : {4096, 8192}) list.product(n, n, n, kPairs[1], {.host = false, .simt = false}, true);
  list.network(kAlexnet, {.images = 8, .extent = 224, .divide = 1, .activation_bits = 2}, false);
  list.network(kVgg, {.images = 8, .extent = 224, .divide = 1, .activation_bits = 2}, false, true);
  list.network(kAlexnet, {.images = 2, .extent = 64, .divide = 8, .activation_bits = 2}, true);
  list.network(kVgg, {.images = 1, .extent = 32, .divide = 8, .activation_bits = 2}, true);
  list.law(64, 1024, 1024);
  return list.cases;
}

const char* const kReadme = "verified: README of the authors' kernels, expected output";
const char* const kNoInt4 =
    "needs CUTLASS's int4 kernels and a GPU with int4 tensor cores (sm_80, sm_86): sm_90 has none, and no "
    "vendor's library offers such a product. The tables compare with int8 and half";

Claim against_int4(const char* id, const char* text, Interval reported, const char* on) {
  return {.id = id,
          .text = text,
          .reported = reported,
          .tolerance_reason = "other hardware",
          .on = on,
          .source = kReadme,
          .needs = Needs::elsewhere,
          .instead = kNoInt4,
          .is_time = true};
}
Claim whole_net(const char* id, const char* text, double reported) {
  return {.id = id,
          .text = text,
          .reported = {reported, reported},
          .tolerance_reason = "a launch per layer and cuBLAS here, one cooperative launch and CUTLASS there",
          .on = "sm_86 build (RTX 3090, recalled), batch 8, 224 x 224",
          .source = kReadme,
          .needs = Needs::gpu,
          .is_time = true};
}

}  // namespace

extern const Experiment apnn_tc;
const Experiment apnn_tc = {
    .paper = {.id = "apnn-tc",
              .title = "APNN-TC: Accelerating Arbitrary Precision Neural Networks on Ampere GPU Tensor Cores",
              .authors = "Boyuan Feng, Yuke Wang, Tong Geng, Ang Li, Yufei Ding",
              .venue = "SC 2021",
              .arxiv = "2106.12169",
              .summary = "Products of p-bit and q-bit codes as p * q one-bit products on tensor cores, "
                         "combined, requantised and packed on chip"},
    .claims = {against_int4(
                   "gemm-w1a2-vs-int4",
                   "w1a2 product over CUTLASS int4: 18.66 vs 9.18 TOPS at N = K = 1024, 0.45 vs 0.35 at 128",
                   {0.45 / 0.35, 2.03}, "sm_86 build, M = 64, N = K from 128 to 1024"),
               against_int4("conv-w1a2-vs-int4",
                            "w1a2 3 x 3 convolution over CUTLASS int4: 190.3 vs 65.0 TOPS at C = 1024, 116.5 "
                            "vs 30.1 at 512, 12.2 vs 5.2 at 128",
                            {2.35, 3.87}, "sm_86 build, H = W = 16, batch 1"),
               whole_net("net-fp32-alexnet", "AlexNet variant, w1a2 over fp32: 0.36 vs 4.26 ms", 11.7),
               whole_net("net-fp32-vgg", "VGG variant, w1a2 over fp32: 1.66 vs 25.22 ms", 15.2),
               whole_net("net-fp16-alexnet", "AlexNet variant, w1a2 over fp16", 10.4),
               whole_net("net-fp16-vgg", "VGG variant, w1a2 over fp16", 14.6),
               {.id = "exact-emulation",
                .text = "the product of p-bit and q-bit codes is recovered from one-bit products",
                .reported_text = "exactly",
                .unit = "",
                .on = "any",
                .source = "abstract",
                .any_size = true}},
    .cases = cases,
    .notes =
        {"TOPS are logical: 2 MNK over the time, not times p q.",
         "M is outputs (W has M rows), N is rows of activations; sums are stored as the next layer reads "
         "them, outputs last.",
         "Products of M = 64 take a few microseconds: kernel and vendor are quoted from graphs of launches.",
         "Planes are combined by accumulating those of equal 2^(s+t) in one register tile: p + q - 1 of "
         "them, no shared memory.",
         "The first layer is a product over packed patches of the picture (K = 363, padded to 384). Padding "
         "its 3 channels to 128 at each of 121 taps, as the other layers do, would be 43 times the work.",
         "The README's VGG variant is taken to be VGG-16, as the authors' 2_imagenet_vgg.cu has it.",
         "A map of 224 gives 56 after a stride of 4 only with padding on both sides (3 before, 4 behind): "
         "the card's dimensions imply it.",
         "alpha has 8 significant bits, so that float and double give one code for every sum; the kernels "
         "take any alpha.",
         "8-bit activations don't fit into int8: there the library multiplies codes less 128, and the offset "
         "belongs to what follows. Convolutions with padding have no such offset.",
         "Networks of half are exact here, since sums of signs stay below 2048.",
         "Whether sm_90 runs one-bit mma at a rate worth having, and exclusive or at all in hardware, is for "
         "a GPU to say; 'kernel/and' is there for it."},
};

}  // namespace remeasure::experiments
