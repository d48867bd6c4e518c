// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>

#include "baselines/learning/unfused_bounds.h"

namespace remeasure::baselines {

struct CublasProducts::State {
  explicit State(Stream<Cuda>& stream) : library(stream) {}
  MatmulLibrary library;
  std::map<MatmulProblem, Matmul> products;
};

CublasProducts::CublasProducts(Stream<Cuda>& stream) : state_(std::make_unique<State>(stream)) {}
CublasProducts::~CublasProducts() = default;

void CublasProducts::operator()(const MatmulProblem& problem, const float* a, const float* b, float* c) {
  state_->products.try_emplace(problem, state_->library, problem).first->second(a, b, c);
}

std::string CublasProducts::setting() const {
  const Matmul* slowest = nullptr;
  for (const auto& [problem, product] : state_->products) {
    if (slowest == nullptr || product.seconds() > slowest->seconds()) slowest = &product;
  }
  if (slowest == nullptr) return {};
  return fmt::format("{} products; the slowest: {}", state_->products.size(), slowest->setting());
}

}  // namespace remeasure::baselines
