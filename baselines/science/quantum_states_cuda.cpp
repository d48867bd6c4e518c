// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <stdexcept>
#include <vector>

#include "baselines/matmul/cublas_check.h"
#include "baselines/science/quantum_states.h"

namespace remeasure::baselines {
namespace {

/// cuBLAS's own workspace, large enough that it needn't choose slower algorithms for want of one.
constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

struct Cublas {
  explicit Cublas(Stream<Cuda>& stream)
      : workspace(stream.device(), kWorkspaceBytes, MemoryUse::workspace, "cuBLAS"), handle(stream) {
    check(cublasSetWorkspace(handle, workspace.data(), workspace.size()), "cublasSetWorkspace");
  }
  cublasHandle_t get() const { return handle; }

  DeviceBuffer<Cuda, unsigned char> workspace;
  CublasHandle handle;
};

const cuComplex* complex(const float* values) {
  return reinterpret_cast<const cuComplex*>(values);
}
cuComplex* complex(float* values) {
  return reinterpret_cast<cuComplex*>(values);
}

}  // namespace

struct CublasFeatureMap::State {
  State(Stream<Cuda>& on, const FeatureMapShape& of)
      : stream(on),
        shape(of),
        cublas(on),
        hadamard(on.device(), 2 * of.amplitudes() * of.amplitudes(), MemoryUse::workspace, "H"),
        middle(on.device(), of.values(), MemoryUse::workspace, "states between the layers") {
    std::vector<float> signs(2 * of.amplitudes() * of.amplitudes(),
                             0.0f);  // without 2^(-n/2): feature_phases has it twice
    for (std::size_t r = 0; r < of.amplitudes(); ++r) {
      for (std::size_t c = 0; c < of.amplitudes(); ++c)
        signs[2 * (r * of.amplitudes() + c)] = std::popcount(r & c) % 2 == 0 ? 1.0f : -1.0f;
    }
    stream.upload(std::span<const float>(signs), hadamard.span());
    stream.synchronize();
  }

  Stream<Cuda>& stream;
  FeatureMapShape shape;
  Cublas cublas;
  DeviceBuffer<Cuda, float> hadamard, middle;
};

CublasFeatureMap::CublasFeatureMap(Stream<Cuda>& stream, const FeatureMapShape& shape) {
  if (shape.samples < 1 || shape.qubits < 1 || shape.qubits > kMostVendorQubits) {
    throw std::invalid_argument(
        "CublasFeatureMap: no samples, or more qubits than the explicit matrix is for");
  }
  state_ = std::make_unique<State>(stream, shape);
}
CublasFeatureMap::~CublasFeatureMap() = default;

void CublasFeatureMap::operator()(DeviceSpan<Cuda, const double> x, DeviceSpan<Cuda, float> states) {
  State& s = *state_;
  kernels::feature_phases<Cuda>(s.stream, s.shape, true, x, s.middle);
  const int size = static_cast<int>(s.shape.amplitudes());
  const cuComplex one{1, 0}, zero{0, 0};
  // Column-major, a state is a column; H is its own transpose.
  check(cublasCgemm(s.cublas.get(), CUBLAS_OP_N, CUBLAS_OP_N, size, s.shape.samples, size, &one,
                    complex(s.hadamard.data()), size, complex(s.middle.data()), size, &zero,
                    complex(states.data()), size),
        "cublasCgemm");
  kernels::feature_phases<Cuda>(s.stream, s.shape, false, x, states);
}

struct CublasGram::State {
  State(Stream<Cuda>& on, const GramShape& of, bool tf32)
      : stream(on),
        shape(of),
        cublas(on),
        products(on.device(), 2 * of.entries(), MemoryUse::workspace, "complex products") {
    check(cublasSetMathMode(cublas.get(), tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH),
          "cublasSetMathMode");
  }

  Stream<Cuda>& stream;
  GramShape shape;
  Cublas cublas;
  DeviceBuffer<Cuda, float> products;
};

CublasGram::CublasGram(Stream<Cuda>& stream, const GramShape& shape, bool tf32)
    : state_(std::make_unique<State>(stream, shape, tf32)) {}
CublasGram::~CublasGram() = default;

void CublasGram::operator()(DeviceSpan<Cuda, const float> a, DeviceSpan<Cuda, const float> b,
                            DeviceSpan<Cuda, float> gram) {
  State& s = *state_;
  const int size = static_cast<int>(s.shape.amplitudes());
  // Column-major C(column, row) is row-major [row, column]: C = B^+ A there. Of it the lower triangle, column
  // >= row, is what abs2_of_products mirrors.
  if (s.shape.symmetric) {
    const float one = 1, zero = 0;
    check(cublasCherk(s.cublas.get(), CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_C, s.shape.rows, size, &one,
                      complex(a.data()), size, &zero, complex(s.products.data()), s.shape.rows),
          "cublasCherk");
  } else {
    const cuComplex one{1, 0}, zero{0, 0};
    check(cublasCgemm(s.cublas.get(), CUBLAS_OP_C, CUBLAS_OP_N, s.shape.columns, s.shape.rows, size, &one,
                      complex(b.data()), size, complex(a.data()), size, &zero, complex(s.products.data()),
                      s.shape.columns),
          "cublasCgemm");
  }
  kernels::abs2_of_products<Cuda>(s.stream, s.shape, s.products, gram);
}

}  // namespace remeasure::baselines
