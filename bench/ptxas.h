// SPDX-License-Identifier: Apache-2.0
//
// The words of `ptxas -v` as data. The build keeps them for every kernel (kernels/ptxas_output.h), so static
// figures need no GPU and no tool beside the compiler.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace remeasure::bench {

/// One kernel, compiled for one architecture.
struct PtxasFigures {
  std::string symbol = {};        ///< mangled
  std::string source = {};        ///< "kernels/attention/nm_sparse_sddmm.cu"
  std::string architecture = {};  ///< "sm_90"
  int registers = 0;              ///< per thread
  int barriers = 0;               ///< block barriers in use
  int shared_bytes = 0;           ///< static
  // With the device functions that were not inlined into it:
  int spill_bytes = 0;  ///< bytes of spill stores and of spill loads
  int stack_bytes = 0;
};

/// `text`: lines "source <file>", each followed by what ptxas said of the file. Throws std::runtime_error for
/// a kernel without registers, a number that can't be read or a figure that belongs to no kernel.
std::vector<PtxasFigures> parse_ptxas(std::string_view text);

/// "sddmm_nm_kernel<SddmmTile<half, 64, 1, 1>>": the kernel's name and template arguments, without parameters
/// and our own namespaces. The same for nvcc's and the host compiler's symbol of one kernel; a text that is
/// no mangled name stays.
std::string kernel_name(const std::string& symbol);
/// "(int, float const*)" of it; empty for a text that is no mangled name.
std::string kernel_parameters(const std::string& symbol);

}  // namespace remeasure::bench
