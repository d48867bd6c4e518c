// SPDX-License-Identifier: Apache-2.0
//
// The maker prints rates of tensor cores with sparsity for Hopper; a dense product has half of them.
//
// NVIDIA's own sheets could not be had when this was written. The figures are theirs as pages of others quote
// them, which agree among each other (glennklockwood.com/garden/processors/A100 and /h100, which name the
// sheets and white papers; microway.com/knowledge-center-articles). The rates without tensor cores also
// follow from multiprocessors x lanes x 2 x boost clock: A100 108 x 64 x 2 x 1.41 GHz = 19.5e12 (f32), H100
// 132 x 128 x 2 x 1.98 GHz = 66.9e12. What is shown says so.
#include "bench/data_sheet.h"

namespace remeasure::bench {

const DataSheet* data_sheet_of(const std::string& device) {
  static const std::map<std::string, DataSheet> sheets = {
      {"NVIDIA A100-SXM4-40GB",
       {{{"gpu-read-dram", 1.555e12},
         {"gpu-mma-f64", 19.5e12},
         {"gpu-fma-f32", 19.5e12},
         {"gpu-fma-f64", 9.7e12},
         {"gpu-mma-tf32", 156e12},
         {"gpu-mma-bf16", 312e12},
         {"gpu-mma-f16", 312e12},
         {"gpu-mma-i8", 624e12}},
        "NVIDIA A100 Tensor Core GPU, data sheet, SXM 40 GB, as others quote it"}},
      {"NVIDIA A100-SXM4-80GB",
       {{{"gpu-read-dram", 2.039e12},
         {"gpu-mma-f64", 19.5e12},
         {"gpu-fma-f32", 19.5e12},
         {"gpu-fma-f64", 9.7e12},
         {"gpu-mma-tf32", 156e12},
         {"gpu-mma-bf16", 312e12},
         {"gpu-mma-f16", 312e12},
         {"gpu-mma-i8", 624e12}},
        "NVIDIA A100 Tensor Core GPU, data sheet, SXM 80 GB, as others quote it"}},
      {"NVIDIA H100 80GB HBM3",
       {{{"gpu-read-dram", 3.35e12},
         {"gpu-mma-f64", 67e12},
         {"gpu-fma-f32", 67e12},
         {"gpu-fma-f64", 34e12},
         {"gpu-mma-tf32", 989e12 / 2},
         {"gpu-mma-bf16", 1979e12 / 2},
         {"gpu-mma-f16", 1979e12 / 2},
         {"gpu-mma-i8", 3958e12 / 2}},
        "NVIDIA H100 Tensor Core GPU, data sheet, SXM, as others quote it; tensor rates halved, as printed "
        "with sparsity"}},
      {"NVIDIA H200",
       {{{"gpu-read-dram", 4.8e12},
         {"gpu-mma-f64", 67e12},
         {"gpu-fma-f32", 67e12},
         {"gpu-fma-f64", 34e12},
         {"gpu-mma-tf32", 989e12 / 2},
         {"gpu-mma-bf16", 1979e12 / 2},
         {"gpu-mma-f16", 1979e12 / 2},
         {"gpu-mma-i8", 3958e12 / 2}},
        "NVIDIA H200 Tensor Core GPU, data sheet, SXM, as others quote it; tensor rates halved, as printed "
        "with sparsity"}},
  };
  const auto found = sheets.find(device);
  return found == sheets.end() ? nullptr : &found->second;
}

}  // namespace remeasure::bench
