// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/small_cnn.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "kernels/device/philox.h"

namespace remeasure::kernels::layers {
namespace {

enum Stream : std::uint64_t { shuffle_stream = 100, virtual_stream = 101, sample_stream = 102 };

/// Mean and deviation of each pixel over the training set.
struct PixelLaw {
  Eigen::ArrayXf mean, deviation;

  explicit PixelLaw(const LabelledPictures& data) {
    const auto size = static_cast<Eigen::Index>(data.pixels.size()) / data.pictures.images;
    const Eigen::Map<const Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> images(
        data.pixels.data(), data.pictures.images, size);
    mean = images.colwise().mean();
    deviation = (images.rowwise() - mean.transpose()).square().colwise().mean().sqrt();
  }
};

/// Batches of a shuffled training set: every image once an epoch.
class Batches {
 public:
  Batches(const LabelledPictures& data, const CnnTraining& plan, int virtual_images)
      : data_(data), plan_(plan), virtual_images_(virtual_images), order_(data.labels.size()) {
    if (plan.batch < 1 || static_cast<std::size_t>(plan.batch) > order_.size())
      throw std::invalid_argument("train_small_cnn: a batch of " + std::to_string(plan.batch) + " of " +
                                  std::to_string(order_.size()) + " images");
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    if (virtual_images > 0) law_.emplace(data);
  }

  Pictures pictures() const {
    return {plan_.batch + virtual_images_, data_.pictures.height, data_.pictures.width};
  }

  void take(int step, Matrix<float>& x, std::vector<int>& labels) {
    const auto batch = static_cast<std::size_t>(plan_.batch);
    if (next_ + batch > order_.size() || step == 0) shuffle(step);
    x.resize(pictures().rows(), data_.colours);
    labels.resize(batch);
    const auto size = static_cast<std::size_t>(x.size()) / static_cast<std::size_t>(pictures().images);
    for (std::size_t i = 0; i < batch; ++i) {
      const std::size_t image = order_[next_ + i];
      std::copy_n(data_.pixels.begin() + static_cast<std::ptrdiff_t>(image * size), size,
                  x.data() + i * size);
      labels[i] = data_.labels[image];
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(virtual_images_); ++i)
      draw(step, i, {x.data() + (batch + i) * size, size});
    next_ += batch;
  }

 private:
  void shuffle(int step) {
    next_ = 0;
    for (std::size_t i = order_.size(); i-- > 1;) {
      const Philox4 random = philox(plan_.seed, i, shuffle_stream | static_cast<std::uint64_t>(step) << 32);
      std::swap(order_[i], order_[std::uint64_t{random.word[0]} * (i + 1) >> 32]);
    }
  }
  void draw(int step, std::size_t image, std::span<float> pixels) const {
    const std::uint64_t stream = virtual_stream | static_cast<std::uint64_t>(step) << 32;
    for (std::size_t p = 0; p < pixels.size(); ++p) {
      const Philox4 random = philox(plan_.seed, image * pixels.size() + p, stream);
      const auto at = static_cast<Eigen::Index>(p);
      pixels[p] = law_->mean[at] + law_->deviation[at] * normal_float(random.word[0], random.word[1]).first;
    }
  }

  const LabelledPictures& data_;
  const CnnTraining& plan_;
  int virtual_images_;
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
  std::optional<PixelLaw> law_;
};

double accuracy(SmallCnn<float>& network, const LabelledPictures& data) {
  Matrix<float> x(data.pictures.rows(), data.colours);
  std::copy(data.pixels.begin(), data.pixels.end(), x.data());
  const std::vector<int> labels(data.labels.begin(), data.labels.end());
  return static_cast<double>(correct_rows(network.infer(data.pictures, x), labels)) /
         static_cast<double>(labels.size());
}

}  // namespace

StatisticsSample statistics_sample(const Normalization& normalization, const BatchNormShape& shape,
                                   int images, const SampleDraw& draw) {
  BatchNormShape real = shape;
  real.images = images;
  const auto box = [&](const SampleBox& rows) { return rows_of(shape, rows); };
  const auto one_pixel = [&](int first_image, int count, const SampleDraw& of) {
    SampleBox pixel = sampled_features(real, 1 << 30, of);
    pixel.image = first_image;
    pixel.images = count;
    return box(pixel);
  };
  SampledRows rows{{}, 1};
  switch (normalization.from) {
    case StatisticsFrom::batch:
      rows.rows = box(every_row(real));
      break;
    case StatisticsFrom::images:
      rows.rows = box(sampled_images(real, normalization.parts, draw));
      break;
    case StatisticsFrom::features:
      rows.rows = box(sampled_features(real, normalization.parts, draw));
      break;
    case StatisticsFrom::scattered:
      rows.rows = scattered_rows(
          real, std::max<std::size_t>(1, real.rows() / static_cast<std::size_t>(normalization.parts)), draw);
      break;
    case StatisticsFrom::fixed_pixel:
      rows.rows = one_pixel(0, images, {draw.seed, draw.layer, 0});
      break;
    case StatisticsFrom::one_value:
      rows.rows = one_pixel(sampled_images(real, images, draw).image, 1, draw);
      break;
    case StatisticsFrom::virtual_images:
      rows.rows = box(last_images(shape, shape.images - images));
      break;
    case StatisticsFrom::groups:
      throw std::invalid_argument("group normalisation has no sample");
  }
  if (normalization.virtual_weight <= 0 || normalization.from == StatisticsFrom::virtual_images)
    return {rows};
  rows.weight = 1 - normalization.virtual_weight;
  return {rows, {box(last_images(shape, shape.images - images)), normalization.virtual_weight}};
}

template <class T>
SmallCnn<T>::SmallCnn(int colours, int width, int classes, const Normalization& normalization,
                      std::uint64_t seed)
    : normalization_(normalization), seed_(seed), head_(2 * width, classes) {
  const int inputs[] = {colours, width, 2 * width}, outputs[] = {width, 2 * width, 2 * width};
  for (std::size_t i = 0; i < kLayers; ++i) {
    layers_.push_back({.convolution = Convolution3x3<T>(inputs[i], outputs[i], i == 0 ? 1 : 2),
                       .batch = BatchNorm<T>(outputs[i]),
                       .group = GroupNorm<T>(outputs[i], normalization.groups)});
    layers_[i].convolution.initialise(seed, i);
  }
  head_.initialise(seed, kLayers);
}

template <class T>
const Matrix<T>& SmallCnn<T>::forward(const Pictures& pictures, const Matrix<T>& x, int images,
                                      int iteration) {
  for (std::size_t i = 0; i < kLayers; ++i) {
    Layer& layer = layers_[i];
    const Pictures& input = i == 0 ? pictures : layers_[i - 1].pictures;
    layer.pictures = layer.convolution.output(input);
    layer.convolution.forward(input, i == 0 ? x : layers_[i - 1].after, layer.before);
    if (normalization_.from == StatisticsFrom::groups) {
      layer.group.forward(layer.pictures, layer.before, layer.after);
    } else {
      const SampleDraw draw{seed_ ^ sample_stream << 32, static_cast<int>(i), iteration};
      layer.batch.forward(
          layer.pictures, layer.before,
          statistics_sample(normalization_, shape_of(layer.pictures, static_cast<int>(layer.before.cols())),
                            images, draw),
          layer.after);
    }
  }
  average_pool(layers_.back().pictures, layers_.back().after, pooled_);
  head_.forward(Matrix<T>(pooled_.topRows(images)), logits_);
  return logits_;
}

template <class T>
Matrix<T> SmallCnn<T>::infer(const Pictures& pictures, const Matrix<T>& x) {
  Pictures input = pictures;
  Matrix<T> y = x, before, pooled, logits;
  for (Layer& layer : layers_) {
    layer.convolution.forward(input, y, before);
    input = layer.convolution.output(input);
    if (normalization_.from == StatisticsFrom::groups)
      layer.group.forward(input, before, y);
    else
      layer.batch.infer(input, before, y);
  }
  average_pool(input, y, pooled);
  head_.forward(pooled, logits);
  return logits;
}

template <class T>
void SmallCnn<T>::backward(const Matrix<T>& logit_gradient) {
  Matrix<T> of_images;
  head_.backward(Matrix<T>(pooled_.topRows(logit_gradient.rows())), logit_gradient, &of_images);
  pooled_gradient_.setZero(pooled_.rows(), pooled_.cols());  // virtual images have no loss
  pooled_gradient_.topRows(of_images.rows()) = of_images;
  average_pool_backward(layers_.back().pictures, pooled_gradient_, layers_.back().after_gradient);
  for (std::size_t i = kLayers; i-- > 0;) {
    Layer& layer = layers_[i];
    if (normalization_.from == StatisticsFrom::groups)
      layer.group.backward(layer.after_gradient, layer.before_gradient);
    else
      layer.batch.backward(normalization_.gradient, layer.after_gradient, layer.before_gradient);
    layer.convolution.backward(layer.before_gradient, i == 0 ? nullptr : &layers_[i - 1].after_gradient);
  }
}

template <class T>
std::vector<Parameter<T>*> SmallCnn<T>::parameters() {
  std::vector<Parameter<T>*> all;
  for (Layer& layer : layers_) {
    all.push_back(&layer.convolution.weight);
    const bool groups = normalization_.from == StatisticsFrom::groups;
    all.push_back(groups ? &layer.group.gamma : &layer.batch.gamma);
    all.push_back(groups ? &layer.group.beta : &layer.batch.beta);
  }
  all.push_back(&head_.weight);
  all.push_back(&head_.bias);
  return all;
}

CnnTrained train_small_cnn(const Normalization& normalization, const CnnTraining& plan,
                           const LabelledPictures& train, const LabelledPictures& test) {
  SmallCnn<float> network(train.colours, plan.width, train.classes, normalization, plan.seed);
  AdamW<float> optimizer({.learning_rate = plan.learning_rate});
  Batches batches(train, plan, normalization.virtual_images);
  Matrix<float> x, by_logits;
  std::vector<int> labels;
  CnnTrained result;
  for (int step = 0; step < plan.steps; ++step) {
    batches.take(step, x, labels);
    const Matrix<float>& logits = network.forward(batches.pictures(), x, plan.batch, step);
    result.loss.push_back(softmax_cross_entropy<float>(logits, labels, &by_logits));
    result.finite = result.finite && std::isfinite(result.loss.back());
    if (!result.finite) break;
    network.backward(by_logits);
    optimizer.settings().learning_rate =
        0.5 * plan.learning_rate * (1 + std::cos(3.141592653589793 * step / plan.steps));
    optimizer.step(network.parameters());
  }
  const std::size_t tail = std::max<std::size_t>(1, result.loss.size() / 10);
  result.last_loss =
      std::accumulate(result.loss.end() - static_cast<std::ptrdiff_t>(tail), result.loss.end(), 0.0) /
      static_cast<double>(tail);
  result.test_accuracy = accuracy(network, test);
  return result;
}

template class SmallCnn<float>;
template class SmallCnn<double>;

}  // namespace remeasure::kernels::layers
