// SPDX-License-Identifier: Apache-2.0
//
// A small transformer with explicit gradients: vision transformers and text encoders that a generator trains
// (float), or that a test differentiates (double). Same bits on every machine and for any number of threads.
//
//   TransformerShape shape{.tokens = 64, .inputs = 48, .dim = 96, .heads = 4, .layers = 4, .mlp = 384,
//   .classes = 10}; std::vector<float> weights = train_transformer(shape, {.epochs = 8}, inputs, labels); //
//   transformer_training.h Transformer<float> model(shape, weights); std::span<const float> logits =
//   model.forward(inputs_of_some_samples, samples); model.backward(gradient_of_logits, gradient_of_weights);
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace remeasure::datasets {

enum class Activation { gelu, relu };
/// `centred` subtracts the mean and doesn't divide by the deviation ("no variance" of verifiers).
enum class Normalisation { layer, centred };

struct TransformerShape {
  int tokens = 0;  ///< of a sample, without the class token
  int inputs = 0;  ///< features of a token: a patch's pixels, or a one-hot word
  int dim = 0, heads = 1, layers = 1, mlp = 0, classes = 0;
  bool class_token = true;  ///< a learned token before the others is what the head sees; else their mean
  Activation activation = Activation::gelu;
  Normalisation normalisation = Normalisation::layer;
  bool norm_first = true;  ///< x + f(norm(x)) and a norm before the head; else norm(x + f(x))
  bool pooler = false;     ///< tanh(dense) before the head

  int rows() const { return tokens + (class_token ? 1 : 0); }
  int head_dim() const { return dim / heads; }
};

/// A matrix (or vector: rows 1) among the weights, which are one array. Dense weights are [inputs, outputs].
struct WeightSlice {
  std::string name;  ///< "embed.weight", "block0.qkv.bias", "head.weight"
  std::size_t offset = 0;
  int rows = 1, columns = 1;
  std::size_t size() const { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns); }
};
/// embed.{weight,bias}, [class_token], position, block<i>.{norm1.{gain,bias}, qkv.{weight,bias}, proj.*,
/// norm2.*, fc1.*, fc2.*}, [norm.{gain,bias}], [pooler.*], head.*. qkv's columns: query, key, value, each by
/// head. Throws std::invalid_argument for a shape that can't be.
std::vector<WeightSlice> weight_slices(const TransformerShape& shape);
std::size_t weight_count(const TransformerShape& shape);
const WeightSlice& find_slice(std::span<const WeightSlice> slices, const std::string& name);

/// Where a matrix product stands in the model.
enum class Site { embed, qkv, scores, mix, proj, fc1, fc2, pooler, head };
const char* to_string(Site site);

/// One product y = a b for each of `matrices`. a: [matrices, rows, inner]; b: [inner, columns] of weights
/// without bias, or of `scores` [matrices, columns, inner] (keys: b_transposed), or of `mix` [matrices,
/// inner, columns]; y: [matrices, rows, columns].
template <class T>
struct MatmulCall {
  Site site;
  int layer = 0;
  int matrices = 1, rows = 0, inner = 0, columns = 0;
  bool b_transposed = false;
  const T* a = nullptr;
  const T* b = nullptr;
  T* y = nullptr;
};

template <class T>
class Transformer {
 public:
  /// `weights` must outlive the model.
  Transformer(const TransformerShape& shape, std::span<const T> weights);

  /// Called for each product in place of computing y; returns false to have it computed.
  std::function<bool(const MatmulCall<T>&)> on_matmul;
  /// Called in `backward` with the gradient of the loss by each product's y (before bias): as long as its y.
  std::function<void(Site, int layer, std::span<const T> gradient)> on_gradient;

  /// inputs: [samples, tokens, inputs]; gives logits [samples, classes], valid until the next call.
  std::span<const T> forward(std::span<const T> inputs, int samples);
  /// Gradients of the samples of the last `forward`, from d loss / d logits; added to `gradient` (of all
  /// weights).
  void backward(std::span<const T> logit_gradient, std::span<T> gradient);

  const TransformerShape& shape() const { return shape_; }

 private:
  struct Norm {
    std::vector<T> scaled, inverse;  // (x - mean) / deviation; 1 / deviation
  };
  struct Block {
    std::vector<T> normed1, query, key, value, weights, mixed, normed2, before, after;
    Norm norm1, norm2;
  };
  const T* at(const std::string& name) const { return weights_.data() + find_slice(slices_, name).offset; }
  T* gradient_of(const std::string& name) const { return gradient_ + find_slice(slices_, name).offset; }
  void multiply_call(const MatmulCall<T>& call);
  void dense(Site site, int layer, const std::string& name, const std::vector<T>& x, std::size_t rows,
             std::vector<T>& y);
  void dense_backward(Site site, int layer, const std::string& name, const std::vector<T>& x,
                      std::size_t rows, const std::vector<T>& dy, std::vector<T>* dx);
  void norm(const std::string& name, const std::vector<T>& x, Norm& kept, std::vector<T>& y);
  void norm_backward(const std::string& name, const Norm& kept, const std::vector<T>& dy, std::vector<T>& dx);
  void attention(int layer, Block& block, const std::vector<T>& x, std::vector<T>& y);
  void attention_backward(int layer, Block& block, const std::vector<T>& x, const std::vector<T>& dy,
                          std::vector<T>& dx);

  TransformerShape shape_;
  std::vector<WeightSlice> slices_;
  std::span<const T> weights_;
  T* gradient_ = nullptr;
  int samples_ = 0;
  std::vector<T> inputs_, stream_, normed_, pooled_, pooler_, logits_;
  Norm last_norm_;
  std::vector<Block> blocks_;
};

/// Mean cross entropy of logits [samples, classes] and its gradient (may be empty).
template <class T>
T cross_entropy(std::span<const T> logits, std::span<const std::uint16_t> labels, int classes,
                std::span<T> gradient);

}  // namespace remeasure::datasets
