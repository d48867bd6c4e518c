// SPDX-License-Identifier: Apache-2.0
//
// Layers of small networks with explicit gradients, on a CPU, for experiments that train: linear layers,
// ReLU, softmax cross-entropy, AdamW. Rows are samples. One thread and one order of sums: a run gives the
// same bits every time on one machine, and runs with several seeds are what is done in parallel
// (kernels/parallel_tasks.h). (datasets/learning/transformer.h trains too, but while a dataset is generated:
// with the same bits on every machine and so without Eigen and libm.)
//
//   layers::Mlp<float> model({2, 16, 3}, true);
//   model.initialise(seed);
//   layers::AdamW<float> optimizer({.learning_rate = 1e-2});
//   for (int epoch = 0; epoch < epochs; ++epoch) {
//     loss = softmax_cross_entropy(model.forward(x), labels, &by_logits);
//     model.backward(by_logits);
//     optimizer.step(model.parameters());
//   }
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace remeasure::kernels::layers {

/// Layers are instantiated for float (what is trained) and double (what is checked against differences).
template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class T>
std::span<T> values(Matrix<T>& m) {
  return {m.data(), static_cast<std::size_t>(m.size())};
}
template <class T>
std::span<const T> values(const Matrix<T>& m) {
  return {m.data(), static_cast<std::size_t>(m.size())};
}

/// A tensor that an optimiser changes, and the gradient of the loss by it. Zeros at first.
template <class T>
struct Parameter {
  Matrix<T> value, gradient;

  Parameter() = default;
  Parameter(int rows, int columns)
      : value(Matrix<T>::Zero(rows, columns)), gradient(Matrix<T>::Zero(rows, columns)) {}
  bool empty() const { return value.size() == 0; }
};

/// Uniform in (-bound, bound); PyTorch's layers have bound = 1 / sqrt(inputs of a neuron). Element i of a
/// parameter is a function of (seed, stream, i) alone.
template <class T>
void initialise_uniform(Parameter<T>& parameter, double bound, std::uint64_t seed, std::uint64_t stream);

/// y = x W^T + b.  x: [rows, inputs], y: [rows, outputs].
template <class T>
class Linear {
 public:
  Linear(int inputs, int outputs, bool with_bias = true);
  /// PyTorch's: weight and bias uniform within 1 / sqrt(inputs). Streams 2 layer and 2 layer + 1 of the seed.
  void initialise(std::uint64_t seed, std::uint64_t layer);
  void forward(const Matrix<T>& x, Matrix<T>& y) const;
  /// Sets the gradients of weight and bias; `dx` too, unless it is null.
  void backward(const Matrix<T>& x, const Matrix<T>& dy, Matrix<T>* dx);

  Parameter<T> weight;  ///< [outputs, inputs]
  Parameter<T> bias;    ///< [1, outputs]; empty without a bias
};

/// x = max(x, 0).
template <class T>
void relu(Matrix<T>& x);
/// dy = 0 where the layer's output y isn't positive.
template <class T>
void relu_backward(const Matrix<T>& y, Matrix<T>& dy);

/// Mean over the rows of -log softmax(logits)[label]; `gradient` (may be null) is its derivative by the
/// logits. Throws std::invalid_argument for labels that don't fit the logits.
template <class T>
double softmax_cross_entropy(const Matrix<T>& logits, std::span<const int> labels, Matrix<T>* gradient);

/// Rows whose largest logit (the first of equal ones) is the label's.
template <class T>
std::size_t correct_rows(const Matrix<T>& logits, std::span<const int> labels);

/// Adam (Kingma and Ba, ICLR 2015) with decoupled decay (Loshchilov and Hutter, ICLR 2019), in PyTorch's
/// order of operations: epsilon is added to the root of the corrected second moment.
struct AdamWSettings {
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  ///< w *= 1 - learning_rate * weight_decay in each step
};

/// The update of one tensor in its step-th step, from 1 on. All arrays have one length.
template <class T>
void adamw_update(const AdamWSettings& settings, int step, std::span<const T> gradient, std::span<T> mean,
                  std::span<T> square, std::span<T> value);

template <class T>
class AdamW {
 public:
  explicit AdamW(const AdamWSettings& settings) : settings_(settings) {}
  /// The same parameters in the same order in each call; moments are those of the place in the list.
  void step(std::span<Parameter<T>* const> parameters);
  int steps() const { return steps_; }
  AdamWSettings& settings() { return settings_; }  ///< for schedules of the learning rate

 private:
  struct Moments {
    std::vector<T> mean, square;
  };
  AdamWSettings settings_;
  int steps_ = 0;
  std::vector<Moments> moments_;
};

/// Linear layers with ReLU between them: widths {inputs, hidden..., outputs}.
template <class T>
class Mlp {
 public:
  Mlp(const std::vector<int>& widths, bool with_bias);
  void initialise(std::uint64_t seed);
  /// Logits, valid until the next call. `x` must outlive `backward`.
  const Matrix<T>& forward(const Matrix<T>& x);
  /// Sets all gradients, from d loss / d logits of the last `forward`; and that of x, unless `dx` is null.
  void backward(const Matrix<T>& logit_gradient, Matrix<T>* dx = nullptr);
  /// Layer by layer, the weight before the bias.
  std::vector<Parameter<T>*> parameters();

  std::vector<Linear<T>> layers;

 private:
  const Matrix<T>* input_ = nullptr;
  std::vector<Matrix<T>> outputs_, gradients_;  // of each layer, after ReLU
};

}  // namespace remeasure::kernels::layers
