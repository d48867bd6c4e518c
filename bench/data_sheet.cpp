// SPDX-License-Identifier: Apache-2.0
//
// The maker prints rates of tensor cores with sparsity for Hopper; a dense product has half of them.
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
        "NVIDIA A100 Tensor Core GPU, data sheet, SXM 40 GB"}},
      {"NVIDIA A100-SXM4-80GB",
       {{{"gpu-read-dram", 2.039e12},
         {"gpu-mma-f64", 19.5e12},
         {"gpu-fma-f32", 19.5e12},
         {"gpu-fma-f64", 9.7e12},
         {"gpu-mma-tf32", 156e12},
         {"gpu-mma-bf16", 312e12},
         {"gpu-mma-f16", 312e12},
         {"gpu-mma-i8", 624e12}},
        "NVIDIA A100 Tensor Core GPU, data sheet, SXM 80 GB"}},
      {"NVIDIA H100 80GB HBM3",
       {{{"gpu-read-dram", 3.35e12},
         {"gpu-mma-f64", 67e12},
         {"gpu-fma-f32", 67e12},
         {"gpu-fma-f64", 34e12},
         {"gpu-mma-tf32", 989e12 / 2},
         {"gpu-mma-bf16", 1979e12 / 2},
         {"gpu-mma-f16", 1979e12 / 2},
         {"gpu-mma-i8", 3958e12 / 2}},
        "NVIDIA H100 Tensor Core GPU, data sheet, SXM; tensor rates halved, as printed with sparsity"}},
      {"NVIDIA H200",
       {{{"gpu-read-dram", 4.8e12},
         {"gpu-mma-f64", 67e12},
         {"gpu-fma-f32", 67e12},
         {"gpu-fma-f64", 34e12},
         {"gpu-mma-tf32", 989e12 / 2},
         {"gpu-mma-bf16", 1979e12 / 2},
         {"gpu-mma-f16", 1979e12 / 2},
         {"gpu-mma-i8", 3958e12 / 2}},
        "NVIDIA H200 Tensor Core GPU, data sheet, SXM; tensor rates halved, as printed with sparsity"}},
  };
  const auto found = sheets.find(device);
  return found == sheets.end() ? nullptr : &found->second;
}

}  // namespace remeasure::bench
