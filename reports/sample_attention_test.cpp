// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "reports/sample_parts.h"
#include "reports/sample_records.h"

namespace remeasure::reports::samples {
namespace {

CaseResult attention_case(const char* name, double scale, bool synthetic) {
  const char* kBf16 = "bf16 has 8 bits of mantissa";
  const char* kGpu = "NVIDIA H200";
  CaseResult test;
  test.name = name;
  test.parameters = {{"n", name + 2}};
  test.dataset = "attention-inputs";
  test.dataset_sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
  test.synthetic = synthetic;
  test.seed = 18446744073709551615u;
  test.elapsed_seconds = 3.5;

  VariantResult kernel = variant("kernel", "2:4 sparse attention, mma.sp", Where::gpu, kGpu, "bf16");
  kernel.status = Status::passed;
  kernel.accuracy = {within("out", 3.1e-3, 2e-2, kBf16)};
  kernel.accuracy[0].at_least = 1e-4;
  kernel.time = time_of(42.1e-6 * scale);
  kernel.roofline = Roofline{.flops = 2.1e9 * scale,
                             .bytes = 6.3e6 * scale,
                             .floor_seconds = 26.1e-6 * scale,
                             .fraction_of_floor = 0.62,
                             .bound = "memory",
                             .ceilings = "triad, gemm-bf16"};
  kernel.memory = Memory{.device_peak = 18874368,
                         .inputs = 6291456,
                         .outputs = 2097152,
                         .workspace = 10485760,
                         .host_peak = {},
                         .device_used = 20971520,
                         .device_note = {},
                         .formula = 18874368};
  VariantResult checked =
      variant("kernel", "2:4 sparse attention, mma.sp", Where::simt, "SIMT engine", "bf16");
  checked.status = Status::passed;
  checked.accuracy = {within("out", 3.1e-3, 2e-2, kBf16)};
  checked.accuracy[0].sampled = true;
  VariantResult vendor = variant("vendor", "cublasGemmStridedBatchedEx + softmax", Where::gpu, kGpu, "bf16");
  vendor.status = Status::passed;
  vendor.accuracy = {within("out", 2.9e-3, 2e-2, kBf16)};
  vendor.time = time_of(66.9e-6 * scale);
  vendor.memory = Memory{.device_peak = 33554432,
                         .inputs = 6291456,
                         .outputs = 2097152,
                         .workspace = 25165824,
                         .host_peak = {},
                         .device_used = 100663296,
                         .device_note = "the driver counts 96.0 MiB where this program allocated 32.0 MiB",
                         .formula = {}};
  vendor.setting =
      "Q K^T: cublasLt algorithm 66, tile 20, stages 36, split-K 1, workspace 0 KiB; fastest of 9";
  VariantResult eigen =
      variant("eigen", "S = Q K^T, softmax, P V in Eigen", Where::cpu, "AMD EPYC 9554", "f32");
  eigen.status = Status::passed;
  eigen.accuracy = {within("out", 4.4e-7, 1e-5, "f32 sums of 64 terms")};
  eigen.time = time_of(2.31e-3 * scale, 0.02);
  eigen.time->mode = "cpu";
  eigen.time->threads = 16;
  eigen.memory = Memory{.device_peak = {},
                        .inputs = {},
                        .outputs = {},
                        .workspace = {},
                        .host_peak = 4194304,
                        .device_used = {},
                        .device_note = {},
                        .formula = {}};
  VariantResult fused = variant("fused", "flash-style 2:4 variant", Where::gpu, kGpu, "bf16");
  fused.status = Status::incorrect;
  fused.reason = "out: relative l2 error is infinite, limit 0.02 (worst element 4095)";
  fused.accuracy = {within("out", INFINITY, 2e-2, kBf16)};
  fused.accuracy[0].worst_index = 4095;
  VariantResult sdpa =
      variant("attention/cudnn-sdpa", "cuDNN fused attention, graph API", Where::gpu, kGpu, "bf16");
  sdpa.status = Status::timed_out;
  sdpa.reason = "no end after 60 s";
  test.variants = {kernel, checked, vendor, eigen, fused, sdpa};
  test.speedups = {{.variant = "kernel", .base = "vendor", .ratio = {1.589, 1.581, 1.597}, .withheld = ""},
                   {.variant = "kernel",
                    .base = "eigen",
                    .ratio = {54.9, 53.7, 56.1},
                    .withheld = "above 10x without an explanation"}};
  test.metrics = {{.name = "retained mass",
                   .value = 0.798,
                   .unit = "",
                   .reported = Interval{0.77, 0.83},
                   .error = 0.002,
                   .exact = false,
                   .tolerance = 0.01},
                  {.name = "matrix bytes / dense",
                   .value = 0.5625,
                   .unit = "",
                   .reported = Interval{0.5625, 0.5625},
                   .error = {},
                   .exact = true,
                   .tolerance = 0}};
  test.checks = {{.name = "two of four kept", .passed = true, .detail = "0 of 4096 groups differ"},
                 {.name = "masks agree", .passed = true, .detail = "0.1 % differ, limit 0.5 %"}};
  test.claim_samples = {{.claim = "attn-speedup",
                         .value = Estimate{1.589, 1.581, 1.597},
                         .holds = {},
                         .text = "",
                         .on = kGpu,
                         .missing = ""}};
  return test;
}

}  // namespace

Record attention() {
  Record record =
      header("dfss", "attention", "Dynamic N:M Fine-grained Structured Sparse Attention Mechanism");
  record.authors = "Chen, Qu, Quan, Liu, Ding, Xie";
  record.venue = "PPoPP 2023";
  record.arxiv = "2203.00091";
  record.summary = "Keeps the N largest of every M attention scores, on sparse tensor cores.";
  record.system = gpu_machine();
  record.ceilings = {{"triad", 4.1e12}, {"gemm-bf16", 7.2e14}};
  record.kernels = {{.kernel = "sddmm_nm<bf16>",
                     .architecture = "sm_90",
                     .registers = 128,
                     .spill_bytes = 0,
                     .shared_bytes = 1024,
                     .stack_bytes = 0,
                     .source = "kernels/attention/sddmm.cu",
                     .block_threads = 256,
                     .dynamic_shared_bytes = 48128,
                     .occupancy = 0.25,
                     .limited_by = "registers"},
                    {.kernel = "spmm_nm<bf16, 64>",
                     .architecture = "sm_90",
                     .registers = 96,
                     .spill_bytes = 0,
                     .shared_bytes = 0,
                     .stack_bytes = 0,
                     .source = "kernels/attention/spmm.cu",
                     .block_threads = {},
                     .dynamic_shared_bytes = {},
                     .occupancy = {},
                     .limited_by = ""},
                    {.kernel = "spmm_nm<bf16, 128>",
                     .architecture = "sm_90",
                     .registers = 128,
                     .spill_bytes = 24,
                     .shared_bytes = 0,
                     .stack_bytes = 8,
                     .source = "kernels/attention/spmm.cu",
                     .block_threads = {},
                     .dynamic_shared_bytes = {},
                     .occupancy = {},
                     .limited_by = ""}};
  record.cases = {attention_case("n=256", 0.2, true), attention_case("n=512", 1, false)};
  record.cases[0].variants[0].time->launch_bound = true;
  TimeResult& kernel = *record.cases[0].variants[0].time;
  kernel.cache = "flushed: L2 has 52428800 bytes";
  kernel.sm_mhz = std::vector<double>(11, 1980);
  kernel.before = GpuCondition{
      .sm_mhz = 1980, .memory_mhz = 3201, .celsius = 41, .watts = 182.5, .limited_by = "", .missing = ""};
  kernel.after = GpuCondition{.sm_mhz = {},
                              .memory_mhz = {},
                              .celsius = {},
                              .watts = {},
                              .limited_by = "power cap",
                              .missing = "no NVML"};
  kernel.other_modes = {{.mode = "hot",
                         .seconds = Estimate{7.1e-6, 7.0e-6, 7.2e-6},
                         .launches = 256,
                         .samples = {7.0e-6, 7.1e-6, 7.2e-6},
                         .throttled = {2},
                         .missing = ""},
                        {.mode = "graph",
                         .seconds = {},
                         .launches = 1,
                         .samples = {},
                         .throttled = {},
                         .missing = "can't be captured: it allocates"}};
  record.cases[1].variants[2].time->throttled = {3, 4};
  record.cases[1].variants[2].time->unhidden = "cublasLt reads its workspace size back";
  record.cases[1].variants[0].time->mode = "hot";
  record.cases[1].variants[0].time->quoted_because = "the paper times repeated launches";
  record.claims = {{.id = "attn-speedup",
                    .text = "attention speedup over full attention",
                    .reported = {1.27, 1.89},
                    .reported_is_range = true,
                    .reported_text = "",
                    .unit = "x",
                    .reported_on = "A100",
                    .source = "abstract",
                    .tolerance = "within 10 % of the range",
                    .measured = Interval{1.581, 1.597},
                    .measured_text = "",
                    .measured_on = "NVIDIA H200",
                    .verdict = Verdict::reproduced,
                    .why = "inside the reported range",
                    .modelled = false,
                    .is_time = true},
                   {.id = "overhead-zero",
                    .text = "pruning in the epilogue costs nothing: SDDMM + prune against the dense GEMM",
                    .reported = {1, 1},
                    .reported_is_range = false,
                    .reported_text = "",
                    .unit = "x",
                    .reported_on = "A100",
                    .source = "abstract",
                    .tolerance = "10 %",
                    .measured = Interval{1.21, 1.24},
                    .measured_text = "",
                    .measured_on = "NVIDIA H200",
                    .verdict = Verdict::partly,
                    .why = "same direction, 21 % outside",
                    .modelled = false,
                    .is_time = true},
                   {.id = "latency",
                    .text = "latency of one layer",
                    .reported = {0.8, 0.8},
                    .reported_is_range = false,
                    .reported_text = "",
                    .unit = "ms",
                    .reported_on = "A100",
                    .source = "figure 9",
                    .tolerance = "",
                    .measured = Interval{0.31, 0.31},
                    .measured_text = "",
                    .measured_on = "NVIDIA H200",
                    .verdict = Verdict::not_comparable,
                    .why = "an absolute time on other hardware",
                    .modelled = false,
                    .is_time = true},
                   {.id = "f1-squad",
                    .text = "accuracy kept after fine-tuning",
                    .reported = {93.19, 93.19},
                    .reported_is_range = false,
                    .reported_text = "",
                    .unit = "F1",
                    .reported_on = "BERT-large, SQuAD v1.1",
                    .source = "table 2",
                    .tolerance = "",
                    .measured = {},
                    .measured_text = "",
                    .measured_on = "",
                    .verdict = Verdict::not_measured,
                    .why = "needs fine-tuning of BERT-large on SQuAD",
                    .modelled = false,
                    .is_time = false}};
  record.notes = {
      "The paper's baseline is unfused attention; against fused attention the argument about n² traffic "
      "disappears."};
  record.elapsed_seconds = 7.25;
  return record;
}

}  // namespace remeasure::reports::samples
