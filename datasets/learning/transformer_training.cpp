// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/transformer_training.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

constexpr std::size_t kParts = 4;  // of a batch, each summed by itself

enum Stream : std::uint64_t { weight_stream = 101, order_stream = 102 };

/// run(i) for i below `tasks`, on all cores.
template <class Run>
void in_parallel(std::size_t tasks, Run run) {
  const std::size_t threads = std::min<std::size_t>(tasks, std::max(1u, std::thread::hardware_concurrency()));
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next.fetch_add(1); i < tasks; i = next.fetch_add(1)) run(i);
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

void check_data(const TransformerShape& shape, std::span<const float> inputs,
                std::span<const std::uint16_t> labels) {
  if (labels.empty() ||
      inputs.size() !=
          labels.size() * static_cast<std::size_t>(shape.tokens) * static_cast<std::size_t>(shape.inputs) ||
      *std::max_element(labels.begin(), labels.end()) >= shape.classes) {
    throw std::invalid_argument(
        "a transformer's training: inputs and labels don't fit each other or the shape");
  }
}

class Adam {
 public:
  Adam(const TransformerShape& shape, const TransformerTraining& plan, std::size_t steps)
      : plan_(plan),
        steps_(steps),
        decays_(weight_count(shape), 0.0f),
        mean_(decays_.size()),
        square_(decays_.size()) {
    for (const WeightSlice& slice : weight_slices(shape)) {
      if (!ends_with(slice.name, ".weight")) continue;
      std::fill_n(decays_.begin() + static_cast<std::ptrdiff_t>(slice.offset), slice.size(),
                  static_cast<float>(plan.weight_decay));
    }
  }

  void step(std::vector<float>& weights, const std::vector<float>& gradient) {
    const double warm = std::max(1.0, static_cast<double>(steps_) / 20), at = static_cast<double>(done_++);
    const double rate =
        plan_.learning_rate *
        (at < warm
             ? (at + 1) / warm
             : 0.5 + 0.5 * portable_cospi((at - warm) / std::max(1.0, static_cast<double>(steps_) - warm)));
    power1_ *= 0.9;
    power2_ *= 0.999;
    const auto step = static_cast<float>(rate / (1 - power1_)),
               correct = static_cast<float>(1 / (1 - power2_)), decay = static_cast<float>(rate);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      mean_[i] = 0.9f * mean_[i] + 0.1f * gradient[i];
      square_[i] = 0.999f * square_[i] + 0.001f * (gradient[i] * gradient[i]);
      weights[i] -=
          step * mean_[i] / (std::sqrt(square_[i] * correct) + 1e-8f) + decay * decays_[i] * weights[i];
    }
  }

 private:
  TransformerTraining plan_;
  std::size_t steps_, done_ = 0;
  double power1_ = 1, power2_ = 1;
  std::vector<float> decays_, mean_, square_;
};

}  // namespace

std::vector<float> initial_weights(const TransformerShape& shape, std::uint64_t seed) {
  const Philox random(seed, weight_stream);
  std::vector<float> weights(weight_count(shape), 0.0f);
  for (const WeightSlice& slice : weight_slices(shape)) {
    double deviation = 0;
    if (ends_with(slice.name, ".weight")) deviation = 1 / std::sqrt(static_cast<double>(slice.rows));
    if (slice.name == "position" || slice.name == "class_token") deviation = 0.02;
    const float mean = ends_with(slice.name, ".gain") ? 1.0f : 0.0f;
    for (std::size_t i = slice.offset; i < slice.offset + slice.size(); ++i) {
      weights[i] = mean + (deviation > 0 ? static_cast<float>(deviation * random.normal(i)) : 0.0f);
    }
  }
  return weights;
}

std::vector<float> train_transformer(const TransformerShape& shape, const TransformerTraining& plan,
                                     std::span<const float> inputs, std::span<const std::uint16_t> labels,
                                     std::vector<double>* losses) {
  check_data(shape, inputs, labels);
  if (plan.batch < 1 || plan.epochs < 0)
    throw std::invalid_argument("a transformer's training: batch must be positive, epochs not negative");
  const std::size_t each = inputs.size() / labels.size(), samples = labels.size(),
                    batch = static_cast<std::size_t>(plan.batch);
  const std::size_t batches = (samples + batch - 1) / batch;
  std::vector<float> weights = plan.start.empty() ? initial_weights(shape, plan.seed) : plan.start;
  if (weights.size() != weight_count(shape)) {
    throw std::invalid_argument("a transformer's training: the weights to begin with are of another shape");
  }
  std::vector<float> gradient(weights.size());
  Adam adam(shape, plan, batches * static_cast<std::size_t>(plan.epochs));
  std::vector<std::unique_ptr<Transformer<float>>> models;
  for (std::size_t part = 0; part < kParts; ++part)
    models.push_back(std::make_unique<Transformer<float>>(shape, weights));
  std::vector<std::vector<float>> gradients(kParts);
  std::vector<std::uint32_t> order(samples);
  std::iota(order.begin(), order.end(), 0u);

  for (int epoch = 0; epoch < plan.epochs; ++epoch) {
    const Philox random(plan.seed, order_stream + static_cast<std::uint64_t>(epoch) * 1000);
    for (std::size_t i = samples - 1; i > 0; --i) std::swap(order[i], order[random.integer(i, i + 1)]);
    double loss = 0;
    for (std::size_t first = 0; first < samples; first += batch) {
      const std::size_t size = std::min(batch, samples - first);
      double part_loss[kParts] = {};
      in_parallel(kParts, [&](std::size_t part) {
        const std::size_t begin = first + size * part / kParts, end = first + size * (part + 1) / kParts;
        gradients[part].assign(weights.size(), 0.0f);
        if (begin == end) return;
        std::vector<float> x;
        std::vector<std::uint16_t> y;
        for (std::size_t i = begin; i < end; ++i) {
          const auto from = inputs.subspan(order[i] * each, each);
          x.insert(x.end(), from.begin(), from.end());
          y.push_back(labels[order[i]]);
        }
        const auto logits = models[part]->forward(x, static_cast<int>(y.size()));
        std::vector<float> by_logits(logits.size());
        const float mean = cross_entropy<float>(logits, y, shape.classes, by_logits);
        const float share = static_cast<float>(y.size()) / static_cast<float>(size);
        part_loss[part] = static_cast<double>(mean * share);
        for (float& value : by_logits) value *= share;
        models[part]->backward(by_logits, gradients[part]);
      });
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        gradient[i] = (gradients[0][i] + gradients[1][i]) + (gradients[2][i] + gradients[3][i]);
      }
      static_assert(kParts == 4);
      adam.step(weights, gradient);
      for (const double each_loss : part_loss) loss += each_loss / static_cast<double>(batches);
    }
    if (losses != nullptr) losses->push_back(loss);
  }
  return weights;
}

double transformer_accuracy(const TransformerShape& shape, std::span<const float> weights,
                            std::span<const float> inputs, std::span<const std::uint16_t> labels) {
  check_data(shape, inputs, labels);
  constexpr std::size_t kAtOnce = 32;
  const std::size_t each = inputs.size() / labels.size(), tasks = (labels.size() + kAtOnce - 1) / kAtOnce;
  const auto classes = static_cast<std::size_t>(shape.classes);
  std::vector<std::size_t> right(tasks, 0);
  in_parallel(tasks, [&](std::size_t task) {
    const std::size_t first = task * kAtOnce, count = std::min(kAtOnce, labels.size() - first);
    Transformer<float> model(shape, weights);
    const auto logits = model.forward(inputs.subspan(first * each, count * each), static_cast<int>(count));
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = logits.subspan(i * classes, classes);
      right[task] += static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin()) ==
                             labels[first + i]
                         ? 1
                         : 0;
    }
  });
  return static_cast<double>(std::accumulate(right.begin(), right.end(), std::size_t{0})) /
         static_cast<double>(labels.size());
}

}  // namespace remeasure::datasets
