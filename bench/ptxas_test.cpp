// SPDX-License-Identifier: Apache-2.0
#include "bench/ptxas.h"

#include <testing/catch.h>
#include <stdexcept>
#include <string>

using Catch::Matchers::ContainsSubstring;
using remeasure::bench::kernel_name;
using remeasure::bench::kernel_parameters;
using remeasure::bench::parse_ptxas;

namespace {

/// Two architectures of a kernel; the second spills and calls a function that was not inlined.
const std::string kText =
    "source kernels/science/log_bessel.cu\n"
    "ptxas info    : 128 bytes gmem, 832 bytes cmem[3]\n"
    "ptxas info    : Compiling entry function '_Z6squarePKfPf' for 'sm_80'\n"
    "ptxas info    : Function properties for _Z6squarePKfPf\n"
    "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
    "ptxas info    : Used 18 registers, used 0 barriers, 400 bytes cmem[0]\n"
    "ptxas info    : Compile time = 4.1 ms\n"
    "ptxas info    : Compiling entry function '_Z6squarePKfPf' for 'sm_90'\n"
    "ptxas info    : Function properties for _Z6squarePKfPf\n"
    "    8 bytes stack frame, 8 bytes spill stores, 16 bytes spill loads\n"
    "ptxas info    : Used 255 registers, used 2 barriers, 24 bytes cumulative stack size, 4096 bytes smem\n"
    "ptxas info    : Function properties for __internal_lgamma_pos\n"
    "    16 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads\n"
    "source kernels/science/other.cu\n";

}  // namespace

TEST_CASE("what ptxas says becomes figures of each kernel and architecture", "[cpu]") {
  const auto kernels = parse_ptxas(kText);
  REQUIRE(kernels.size() == 2);
  CHECK(kernels[0].symbol == "_Z6squarePKfPf");
  CHECK(kernels[0].source == "kernels/science/log_bessel.cu");
  CHECK(kernels[0].architecture == "sm_80");
  CHECK(kernels[0].registers == 18);
  CHECK(kernels[0].spill_bytes == 0);
  CHECK(kernels[0].shared_bytes == 0);
  CHECK(kernels[0].barriers == 0);
  CHECK(kernels[1].architecture == "sm_90");
  CHECK(kernels[1].registers == 255);
  CHECK(kernels[1].barriers == 2);
  CHECK(kernels[1].shared_bytes == 4096);
  CHECK(kernels[1].spill_bytes == 8 + 16 + 4 + 4);
  CHECK(kernels[1].stack_bytes == 24);
  CHECK(parse_ptxas("").empty());
}

TEST_CASE("output of ptxas that has lost a line is refused, not read as zero", "[cpu]") {
  const auto without = [](const std::string& line) {
    std::string text = kText;
    const std::size_t at = text.find(line);
    REQUIRE(at != std::string::npos);
    return text.erase(at, text.find('\n', at) + 1 - at);
  };
  CHECK_THROWS_WITH(parse_ptxas(without("ptxas info    : Used 18")),
                    ContainsSubstring("no registers of kernel _Z6square"));
  CHECK_THROWS_WITH(parse_ptxas("    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"),
                    ContainsSubstring("belongs to no kernel"));
  CHECK_THROWS_WITH(parse_ptxas("ptxas info    : Compiling entry function '_Z1fv'\n"),
                    ContainsSubstring("architecture"));
  std::string no_number = kText;
  no_number.replace(no_number.find("18 registers"), 2, "??");
  CHECK_THROWS_WITH(parse_ptxas(no_number), ContainsSubstring("no number before ' registers'"));
}

TEST_CASE("both compilers' symbols of a kernel have one readable name", "[cpu]") {
  const std::string name = "sddmm_nm_kernel<SddmmTile<half, 64, 1, 2>>";
  CHECK(
      kernel_name(
          "_ZN9remeasure7kernels57_GLOBAL__N__acf2f053_18_nm_sparse_sddmm_cu_b4bccaec_1636415sddmm_nm_kernel"
          "INS1_9SddmmTileI6__halfLi64ELi1ELi2EEEEEviPKNT_7ElementE") == name);
  CHECK(kernel_name("_ZN9remeasure7kernels12_GLOBAL__N_115sddmm_nm_kernelINS1_"
                    "9SddmmTileIN5Eigen4halfELi64ELi1ELi2EEEEEvi"
                    "PKNT_7ElementE") == name);
  CHECK(kernel_name("_ZN9remeasure7kernels4copyI13__nv_bfloat16EEvPKT_") == "copy<bfloat16>");
  CHECK(kernel_name("_ZN9remeasure7kernels4copyIN5Eigen8bfloat16EEEvPKT_") == "copy<bfloat16>");
  CHECK(kernel_name("_Z6squarePKfPf") == "square");
  CHECK(kernel_name("plain_c_name") == "plain_c_name");
}

TEST_CASE("brackets and spaces in template arguments are no parameters", "[cpu]") {
  CHECK(kernel_name("_ZN9remeasure7kernels12_GLOBAL__N_113log_kv_kernelILNS0_11BranchTableE1EEEviPKdPd") ==
        "log_kv_kernel<(BranchTable)1>");
  CHECK(kernel_name("_Z1fIFvifEEvT_") == "f<void (int, float)>");
  CHECK(kernel_parameters("_Z6squarePKfPf") == "(float const*, float*)");
  CHECK(kernel_parameters("plain_c_name").empty());
}
