// SPDX-License-Identifier: Apache-2.0
#include "baselines/matmul/without_cudnn.h"

#include <fmt/format.h>

#include <algorithm>

#ifdef REMEASURE_HAS_CUDNN
#include <cudnn.h>
#endif

namespace remeasure::baselines {

#ifdef REMEASURE_HAS_CUDNN
std::string cudnn_missing(std::size_t since, const char* operation) {
  const std::size_t version = std::min<std::size_t>(CUDNN_VERSION, cudnnGetVersion());
  if (version >= since) return {};
  return fmt::format("cuDNN {} has no {}; {}.{}.{} or newer is needed", version, operation, since / 10000,
                     since / 100 % 100, since % 100);
}
#else
std::string cudnn_missing(std::size_t, const char*) {
  return "built without cuDNN; install libcudnn9-dev-cuda-12 (or -13) and configure again";
}
#endif

}  // namespace remeasure::baselines
