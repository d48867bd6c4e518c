// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/cli.h"
#include "experiments/gpu_probes.h"
#include "kernels/ptxas_output.h"

int main(int argc, char* argv[]) {
  remeasure::bench::cli::Program program{remeasure::bench::registry(), remeasure::datasets::catalogue()};
  program.ptxas_output = remeasure::kernels::ptxas_output;
#ifdef REMEASURE_HAS_CUDA
  program.gpu_probes = remeasure::experiments::open_gpu_probes;
#endif
  return remeasure::bench::cli::run_program(argc, argv, program);
}
