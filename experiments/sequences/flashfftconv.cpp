// SPDX-License-Identifier: Apache-2.0
//
// Long convolutions by Fourier transforms that are products with small DFT matrices, fused into one launch on
// tensor cores. The paper's base is a chain of complex fp32 transforms; the table also has the real ones that
// a user would rather pick.
#include <fmt/ranges.h>

#include "experiments/sequences/flashfftconv_partial.h"
#include "experiments/sequences/flashfftconv_scaling.h"
#include "experiments/sequences/flashfftconv_sparse.h"

namespace remeasure::experiments {

using namespace bench;
using namespace flashfftconv_problem;

namespace {

/// A row of the authors' table: speedup and memory saving of the gated convolution.
struct Reported {
  const char* name;
  int length, batch, channels;
  double speedup, memory;
};
constexpr Reported kReported[] = {{"256", 256, 64, 768, 5.64, 6.65},    {"1k", 1024, 64, 768, 7.93, 6.40},
                                  {"4k", 4096, 64, 768, 6.64, 6.35},    {"8k", 8192, 64, 768, 5.42, 6.34},
                                  {"16k", 16'384, 32, 768, 2.45, 6.17}, {"32k", 32'768, 16, 768, 3.22, 5.87},
                                  {"1m", 1 << 20, 8, 48, 1.74, 2.82},   {"2m", 1 << 21, 8, 32, 1.37, 2.81},
                                  {"4m", 1 << 22, 8, 16, 1.30, 2.81}};
constexpr int kLongestPadded = 32'768;  // with its transform of twice the length in one launch

const Reported* reported_at(int length) {
  for (const Reported& row : kReported) {
    if (row.length == length) return &row;
  }
  return nullptr;
}

void report_memory(Trial& t, int length) {
  const Reported& row = *reported_at(length);
  const int counted = std::min(
      length, 65'536);  // every buffer grows with the length; millions of samples needn't be allocated
  const double ratio = memory_peaks(row.batch, counted, counted, row.channels).ratio();
  t.metric({.name = "memory of the chain over the kernel's",
            .value = ratio,
            .unit = "x",
            .reported = Interval{row.memory, row.memory},
            .exact = true});
  // PyTorch isn't run: its side is a list of tensors, and so a model of what was measured on a GPU.
  t.claim(fmt::format("mem-{}", row.name),
          Measured{reports::Estimate{ratio, ratio, ratio},
                   "model: tensors of the authors' chain over the kernel's arrays",
                   {}});
  if (length == 1024)
    t.check("memory ratio at 1K lies between 5 and 8", ratio >= 5 && ratio <= 8,
            fmt::format("{:.2f}", ratio));
}

void measure_convolution(Trial& t, Mode mode, int batch, int channels, int length, bool simt) {
  const ConvolutionShape shape = shape_of(mode, batch, channels, length);
  const bool gated = mode != Mode::plain;
  const auto in = t.inputs([&](std::uint64_t seed) { return load(t, shape, gated, seed); });
  t.oracle("y", 1, [&] { return oracle_of(shape, in[0]); });
  const ConvolutionCase c{shape, gated, in, simt};
  declare_host(t, c);
  if (is_outer(shape)) {
    declare_outer_kernel<half>(t, c, "kernel", "f16", accept_f16());
    declare_outer_kernel<bfloat16>(t, c, "kernel/bf16", "bf16", accept_bf16());
  } else {
    declare_kernel<half>(t, c, "kernel", "f16", accept_f16());
    declare_kernel<bfloat16>(t, c, "kernel/bf16", "bf16", accept_bf16());
    declare_kernel<float>(t, c, "kernel/f32", "f32", accept_f32());
  }
  declare_vendor(t, c, "vendor", "cuFFT, real transforms in f32, kernels between them",
                 baselines::CufftWay::real);
  declare_vendor(t, c, "c2c", "cuFFT, complex transforms in f32: the paper's base",
                 baselines::CufftWay::complex);
  declare_vendor(t, c, "half", "cuFFT, real transforms in f16", baselines::CufftWay::real_half);
  t.measure();
  t.speedup("method", "eigen");
  t.speedup("kernel", "vendor");
  const Measured over_complex = t.speedup("kernel", "c2c");
  if (mode != Mode::gated || reported_at(length) == nullptr) return;
  report_memory(t, length);
  const Reported& row = *reported_at(length);
  if (t.size() == Size::paper && (batch != row.batch || channels != row.channels)) return;  // the CPU's share
  t.claim(fmt::format("gated-{}", row.name), over_complex);
  t.claim("best-speedup", over_complex);
}

std::vector<CaseDefinition> cases(Size size) {
  std::vector<CaseDefinition> list;
  const auto convolution = [&](Mode mode, int length, int batch, int channels,
                               const std::string& left_out = "") {
    const bool simt = static_cast<long long>(batch) * channels * length <= 131'072;
    list.push_back({.name = {{"N", std::to_string(length)},
                             {"mode", to_string(mode)},
                             {"B", std::to_string(batch)},
                             {"H", std::to_string(channels)}},
                    .run = [=](Trial& t) { measure_convolution(t, mode, batch, channels, length, simt); },
                    .left_out = left_out});
  };
  const auto sparse = [&](const SparseCase& c, const std::string& left_out = "") {
    list.push_back({.name = {{"sparse", std::to_string(c.shape.length)},
                             {"B", std::to_string(c.shape.batch)},
                             {"H", std::to_string(c.shape.channels)}},
                    .run = [=](Trial& t) { measure_sparse(t, c); },
                    .left_out = left_out});
  };
  const auto partial = [&](int length, int taps) {
    list.push_back({.name = {{"partial", std::to_string(length)}, {"taps", std::to_string(taps)}},
                    .run = [=](Trial& t) { measure_partial(t, length, taps); }});
  };
  constexpr Mode kModes[] = {Mode::plain, Mode::gated, Mode::causal};
  if (size == Size::smoke) {
    for (const int length : {256, 1024}) {
      for (const Mode mode : kModes) convolution(mode, length, 1, 4);
    }
    convolution(Mode::gated, 131'072, 1, 1);  // the shortest with an outer DFT
    sparse({{1, 2, 1024, 1024, 0, Signal::complex}, {32, 32}, {{32, 32}, {16, 32}, {16, 16}}});
    partial(8192, 512);
    list.push_back({.name = {{"scaling", "N"}}, .run = [](Trial& t) {
                      measure_scaling(t, {256, 1024, 4096});
                    }});
    list.push_back({.name = {{"orders", "p"}}, .run = [](Trial& t) { measure_orders(t, {256, 4096}); }});
    return list;
  }
  const bool gpu = Device<Cuda>::count() > 0;
  for (const Reported& row : kReported) {
    for (const Mode mode : kModes) {
      if (row.length > kLongestPadded) {
        const std::string padded =
            mode == Mode::causal
                ? "a padded transform of 8M has no factors; circular rows are the authors' own"
                : "";
        convolution(mode, row.length, 1, 1, padded);
        convolution(
            mode, row.length, row.batch, row.channels,
            padded.empty() && !gpu ? "for the GPU's kernels; the CPU's share has B = 1, H = 1" : padded);
        continue;
      }
      convolution(mode, row.length, 2, 16);  // the CPU's share
      convolution(mode, row.length, row.batch, row.channels,
                  gpu ? "" : "for the GPU's kernels; the CPU's share has B = 2, H = 16");
    }
  }
  sparse({{2, 16, 32'768, 32'768, 0, Signal::complex},
          {32, 32, 32},
          {{32, 32, 32}, {16, 32, 32}, {16, 16, 32}, {16, 16, 16}},
          false});
  partial(2'359'296, 16'384);  // 2.3 million base pairs
  list.push_back({.name = {{"scaling", "N"}}, .run = [](Trial& t) {
                    measure_scaling(t, {256, 512, 1024, 4096, 16'384, 32'768});
                  }});
  list.push_back({.name = {{"orders", "p"}}, .run = [](Trial& t) {
                    measure_orders(t, {256, 1024, 4096, 16'384, 65'536});
                  }});
  return list;
}

std::vector<Claim> claims() {
  const char* const kOn = "H100 SXM, times scaled to B=64, H=768, fp16";
  std::vector<Claim> list;
  for (const Reported& row : kReported) {
    list.push_back({.id = fmt::format("gated-{}", row.name),
                    .text = fmt::format("gated convolution of {} over PyTorch's complex FFTs", row.length),
                    .reported = {row.speedup, row.speedup},
                    .tolerance_reason = "cuFFT without PyTorch's own overhead",
                    .on = kOn,
                    .source = "README of the authors' repository",
                    .needs = Needs::gpu,
                    .is_time = true});
  }
  for (const Reported& row : kReported) {
    list.push_back({.id = fmt::format("mem-{}", row.name),
                    .text = fmt::format("memory of PyTorch's chain over the kernel's at {}", row.length),
                    .reported = {row.memory, row.memory},
                    .tolerance_reason = "workspace of the transforms isn't counted",
                    .on = kOn,
                    .source = "README of the authors' repository",
                    .needs = Needs::cpu,
                    .any_size = true});
  }
  list.push_back({.id = "best-speedup",
                  .text = "best case over PyTorch's FFT convolution",
                  .reported = {7.93, 7.93},
                  .tolerance_reason = "cuFFT without PyTorch's own overhead",
                  .on = kOn,
                  .source = "abstract",
                  .needs = Needs::gpu,
                  .over = Over::largest,
                  .is_time = true});
  list.push_back({.id = "e2e",
                  .text = "end-to-end speedup of a model, best",
                  .reported = {4.4, 4.4},
                  .on = kOn,
                  .source = "abstract",
                  .needs = Needs::elsewhere,
                  .instead = "needs the models (M2-BERT, Hyena, ...) on a GPU",
                  .is_time = true});
  list.push_back({.id = "dna-2.3m",
                  .text = "partial convolutions extend HyenaDNA to 2.3M base pairs",
                  .reported_text = "yes",
                  .on = "HyenaDNA-1M",
                  .source = "abstract",
                  .needs = Needs::elsewhere,
                  .instead = "needs the trained model; case 'partial' runs such a convolution at that length",
                  .real_data = true});
  list.push_back({.id = "freq-sparse",
                  .text = "convolution with most of the spectrum dropped over the dense one",
                  .reported = {1.0, 1.8},
                  .tolerance_reason = "91 % dropped there, 87.5 % here: blocks of 16",
                  .on = "HyenaDNA-1M, 91 % zeros",
                  .source = "recalled",
                  .needs = Needs::gpu,
                  .is_time = true});
  list.push_back({.id = "path512",
                  .text = "accuracy on Path-512",
                  .reported = {96.1, 96.1},
                  .unit = "%",
                  .no_effect = 50,
                  .on = "a convolutional model, 256K pixels",
                  .source = "abstract",
                  .needs = Needs::elsewhere,
                  .instead = "needs a model trained for days on GPUs",
                  .real_data = true});
  return list;
}

}  // namespace

extern const Experiment flashfftconv;
const Experiment flashfftconv = {
    .paper = {.id = "flashfftconv",
              .title = "FlashFFTConv: Efficient Convolutions for Long Sequences with Tensor Cores",
              .authors = "Daniel Y. Fu, Hermann Kumbong, Eric Nguyen, Christopher Ré",
              .venue = "ICLR 2024",
              .arxiv = "2311.05908",
              .summary = "Long convolutions by DFTs that are products with small matrices on tensor cores, "
                         "fused into one launch"},
    .claims = claims(),
    .cases = cases,
    .notes =
        {"The paper's base is complex fp32 transforms of real data (row 'c2c'). 'vendor' is cuFFT on real "
         "numbers, half of that work; both are given, the claims are judged against the paper's.",
         "The authors' benchmark runs gated convolutions of N samples in transforms of N, with gradients on: "
         "'gated' here. Memory is the count of the tensors which then stay alive, and of the kernel's "
         "buffers; PyTorch itself isn't run, cuFFT's workspace not counted.",
         "The authors put 1/N into the first twiddles against overflow in fp16. Here each matrix has 1/N_i: "
         "sums can't exceed what went in, and spectra of 32K points don't become subnormal.",
         "Dropped blocks k_i < a_i leave out negative frequencies too, so the kernel skips them on complex "
         "signals; what is lost is measured with the top of the half spectrum on real ones. Blocks of 16 "
         "allow 87.5 % at 32 x 32 x 32.",
         "On a CPU the Monarch transform does 16 N sum(N_i) operations where an FFT does 5 N log2 N: "
         "'method' over 'eigen' compares a matrix product at its rate with butterflies at theirs, not what "
         "tensor cores gain.",
         "Above 32K points an outer DFT goes over global memory, in place: 4 bytes a sample more, where the "
         "authors' 2.8 times corresponds to about 10. Padded rows of 1M and more are left out. A bf16 or f16 "
         "plane is rounded once more there.",
         "The best order p is modelled for an H100 from its data sheet (equation 2) and measured on the CPU, "
         "which has no tensor cores."},
};

}  // namespace remeasure::experiments
