// SPDX-License-Identifier: Apache-2.0
//
// The small vision transformer under post-training quantisation: its products with their gradients, the
// search of all scales from exact inputs (layers in parallel, not one after another), and its accuracy with
// quantised products.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "datasets/learning/dense_math.h"
#include "datasets/precision/small_vit.h"
#include "datasets/random.h"
#include "kernels/parallel_tasks.h"
#include "kernels/precision/quantized_layer.h"

namespace remeasure::experiments::twin_calibration {

using datasets::MatmulCall;
using datasets::Site;
using datasets::SmallVit;
using kernels::Calibration;
using kernels::LayerProduct;
using kernels::LayerScales;
using kernels::ScaleMetric;
using kernels::SearchSettings;

/// A product of the model by its place.
struct Place {
  Site site;
  int layer = 0;
  auto operator<=>(const Place&) const = default;
};

inline Calibration calibration_of(Site site) {
  return site == Site::mix   ? Calibration::softmax
         : site == Site::fc2 ? Calibration::gelu
                             : Calibration::plain;
}
/// Query, key and value have scales of their own.
inline int weight_blocks(Site site) {
  return site == Site::qkv ? 3 : 1;
}

using Layers = std::map<Place, LayerProduct>;
using Scales = std::map<Place, LayerScales>;

/// [inner, columns] to [columns, inner], of each matrix.
inline std::vector<float> transposed(const float* b, int matrices, int inner, int columns) {
  std::vector<float> result(static_cast<std::size_t>(matrices) * static_cast<std::size_t>(inner) *
                            static_cast<std::size_t>(columns));
  float* to = result.data();
  for (std::ptrdiff_t m = 0; m < matrices; ++m) {
    for (std::ptrdiff_t j = 0; j < columns; ++j) {
      for (std::ptrdiff_t k = 0; k < inner; ++k) *to++ = b[(m * inner + k) * columns + j];
    }
  }
  return result;
}

/// What a product's error is weighted with.
enum class Weighting {
  label,   ///< the gradient of the cross entropy with the images' labels
  fisher,  ///< root of the mean square of that gradient over labels drawn from the model's own prediction,
           ///< exactly: the diagonal of the Fisher matrix that the labels' gradient is one sample of
};

/// The model with other calibration images: the `draw`-th `images` of those in its file.
inline SmallVit with_calibration(const SmallVit& vit, int draw, int images) {
  SmallVit result = vit;
  const auto count = static_cast<std::ptrdiff_t>(images), first = draw * count,
             each = static_cast<std::ptrdiff_t>(vit.image_values());
  if (first + count > static_cast<std::ptrdiff_t>(vit.calibration_label.size()))
    throw std::invalid_argument("the file hasn't that many calibration images");
  result.calibration.assign(vit.calibration.begin() + first * each,
                            vit.calibration.begin() + (first + count) * each);
  result.calibration_label.assign(vit.calibration_label.begin() + first,
                                  vit.calibration_label.begin() + first + count);
  return result;
}

/// All products but the patches' embedding (whose input stays as it is), on the first `images` calibration
/// images. Gradients are those of the sum over the images, so that they don't depend on how many there are.
inline Layers capture(const SmallVit& vit, int images, Weighting weighting) {
  Layers layers;
  datasets::Transformer<float> model(vit.shape, vit.weights);
  model.on_matmul = [&](const MatmulCall<float>& call) {
    if (call.site == Site::embed) return false;
    LayerProduct& layer = layers[{call.site, call.layer}];
    layer.matrices = call.matrices, layer.rows = call.rows, layer.inner = call.inner,
    layer.columns = call.columns;
    const auto size = [&](int x, int y) {
      return static_cast<std::size_t>(call.matrices) * static_cast<std::size_t>(x) *
             static_cast<std::size_t>(y);
    };
    layer.a.assign(call.a, call.a + size(call.rows, call.inner));
    if (call.b_transposed)
      layer.b.assign(call.b, call.b + size(call.columns, call.inner));
    else
      layer.b = transposed(call.b, call.matrices, call.inner, call.columns);
    layer.y.resize(layer.outputs());
    for (std::ptrdiff_t m = 0; m < call.matrices; ++m) {
      const std::ptrdiff_t rows = call.rows, inner = call.inner, columns = call.columns;
      datasets::multiply<float>(rows, columns, inner, datasets::row_major(call.a + m * rows * inner, inner),
                                datasets::row_major(layer.b.data() + m * columns * inner, inner).transposed(),
                                layer.y.data() + m * rows * columns, columns);
    }
    std::copy(layer.y.begin(), layer.y.end(), call.y);
    return true;
  };
  std::map<Place, std::vector<float>> captured;
  model.on_gradient = [&](Site site, int layer, std::span<const float> gradient) {
    if (site != Site::embed) captured[{site, layer}].assign(gradient.begin(), gradient.end());
  };
  const auto count = static_cast<std::size_t>(images), classes = static_cast<std::size_t>(vit.shape.classes);
  const auto logits =
      model.forward(std::span<const float>(vit.calibration).first(count * vit.image_values()), images);
  const std::vector<float> kept(logits.begin(), logits.end());
  std::vector<float> by_logits(kept.size()), unused(vit.weights.size());
  for (std::size_t label = 0; label < (weighting == Weighting::fisher ? classes : 1); ++label) {
    std::vector<std::uint16_t> labels(count, static_cast<std::uint16_t>(label));
    if (weighting == Weighting::label)
      labels.assign(vit.calibration_label.begin(), vit.calibration_label.begin() + images);
    datasets::cross_entropy<float>(kept, labels, vit.shape.classes, by_logits);
    for (std::size_t i = 0; i < count; ++i) {
      // Of p - onehot the label's entry is p - 1: the probability of this label weighs its square.
      float scale = static_cast<float>(images);
      const float of_label = by_logits[i * classes + labels[i]] * scale + 1.0f;
      if (weighting == Weighting::fisher) scale *= std::sqrt(std::max(of_label, 0.0f));
      for (std::size_t c = 0; c < classes; ++c) by_logits[i * classes + c] *= scale;
    }
    model.backward(by_logits, unused);
    for (auto& [place, layer] : layers) {
      layer.gradient.resize(layer.y.size());
      const std::vector<float>& g = captured.at(place);
      for (std::size_t i = 0; i < g.size(); ++i) layer.gradient[i] += g[i] * g[i];
    }
  }
  for (auto& [place, layer] : layers) {
    for (float& g : layer.gradient) g = std::sqrt(g);  // a metric squares it: the sign doesn't count
  }
  return layers;
}

/// The same gradients at other outputs of their layer: what a metric without the gradients' information sees.
inline Layers with_permuted_gradients(Layers layers, std::uint64_t seed) {
  for (auto& [place, layer] : layers) {
    const datasets::Philox random(seed, 77);
    for (std::size_t i = layer.gradient.size() - 1; i > 0; --i)
      std::swap(layer.gradient[i], layer.gradient[random.integer(i, i + 1)]);
  }
  return layers;
}

inline LayerScales search(const Place& place, const LayerProduct& layer, const SearchSettings& settings) {
  return kernels::search_scales(layer, calibration_of(place.site), weight_blocks(place.site), settings);
}
/// Scales of all layers; `settings` for each place.
template <class SettingsOf>
Scales search_all(const Layers& layers, SettingsOf settings) {
  Scales scales;
  for (const auto& [place, layer] : layers) scales[place] = search(place, layer, settings(place));
  return scales;
}

/// run(i) for i below `tasks`, on all cores.
template <class Run>
void on_all_cores(std::size_t tasks, Run run) {
  kernels::for_each_row_block(static_cast<int>(tasks), 1, 0,
                              [&](int i, int, int) { run(static_cast<std::size_t>(i)); });
}

/// What each dense layer's bias is corrected by.
using Corrections = std::map<Place, std::vector<float>>;
inline Corrections corrections_of(const Layers& layers, const Scales& scales) {
  Corrections corrections;
  for (const auto& [place, layer] : layers) {
    if (place.site != Site::scores && place.site != Site::mix)
      corrections[place] = kernels::bias_of_codes(layer, scales.at(place));
  }
  return corrections;
}
/// "block2.fc1" or "head": what its weights and bias are called.
inline std::string name_of(const Place& place) {
  return place.site == Site::head
             ? "head"
             : "block" + std::to_string(place.layer) + "." + datasets::to_string(place.site);
}

struct Quality {
  double accuracy = 0;             ///< fraction of the images
  double loss = 0;                 ///< mean cross entropy
  std::vector<float> logits = {};  ///< [images, classes]
};

/// Mean Kullback-Leibler divergence of the quantised model's prediction from the exact one's: how much the
/// loss grows by quantisation, without the labels' noise (the loss that the authors' code calibrates with).
inline double divergence(const Quality& exact, const Quality& quantised, std::size_t classes) {
  double total = 0;
  const std::size_t images = exact.logits.size() / classes;
  for (std::size_t i = 0; i < images; ++i) {
    double sum_exact = 0, sum_quantised = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      sum_exact += std::exp(static_cast<double>(exact.logits[i * classes + c]));
      sum_quantised += std::exp(static_cast<double>(quantised.logits[i * classes + c]));
    }
    for (std::size_t c = 0; c < classes; ++c) {
      const double log_p = static_cast<double>(exact.logits[i * classes + c]) - std::log(sum_exact);
      total += std::exp(log_p) *
               (log_p - static_cast<double>(quantised.logits[i * classes + c]) + std::log(sum_quantised));
    }
  }
  return total / static_cast<double>(images);
}

/// The weights of the model with those of quantised products in their place, and the embedding's channel by
/// channel.
inline std::vector<float> quantized_weights(const SmallVit& vit, const Scales& scales, int embed_bits,
                                            const Corrections& corrections) {
  std::vector<float> weights = vit.weights;
  const std::vector<datasets::WeightSlice> slices = datasets::weight_slices(vit.shape);
  for (const auto& [place, correction] : corrections) {
    const datasets::WeightSlice& bias = datasets::find_slice(slices, name_of(place) + ".bias");
    for (std::size_t i = 0; i < correction.size(); ++i) weights[bias.offset + i] -= correction[i];
  }
  for (const datasets::WeightSlice& slice : slices) {
    const auto dot = slice.name.rfind('.');
    if (dot == std::string::npos || slice.name.substr(dot) != ".weight") continue;
    const std::vector<float> rows = transposed(weights.data() + slice.offset, 1, slice.rows, slice.columns);
    std::vector<kernels::TwinQuantizer<float>> blocks;
    if (slice.name == "embed.weight") {
      if (embed_bits == 0) continue;
      for (std::size_t channel = 0; channel < static_cast<std::size_t>(slice.columns); ++channel) {
        const auto of_channel = std::span<const float>(rows).subspan(
            channel * static_cast<std::size_t>(slice.rows), static_cast<std::size_t>(slice.rows));
        blocks.push_back(kernels::uniform_quantizer(kernels::first_step(of_channel, embed_bits), embed_bits));
      }
    } else {
      for (const auto& [place, scale] : scales) {
        if (name_of(place) + ".weight" == slice.name) blocks = scale.b;
      }
      if (blocks.empty()) continue;
    }
    const std::vector<float> values =
        transposed(kernels::quantized(rows, blocks).data(), 1, slice.columns, slice.rows);
    std::copy(values.begin(), values.end(), weights.begin() + static_cast<std::ptrdiff_t>(slice.offset));
  }
  return weights;
}

/// The model on images with quantised operands wherever `scales` has the place; exact elsewhere.
inline Quality evaluate(const SmallVit& vit, std::span<const float> images,
                        std::span<const std::uint16_t> labels, const Scales& scales, int embed_bits,
                        const Corrections& corrections = {}) {
  constexpr std::size_t kAtOnce = 16;
  const std::vector<float> weights = quantized_weights(vit, scales, embed_bits, corrections);
  const std::size_t tasks = (labels.size() + kAtOnce - 1) / kAtOnce, each = vit.image_values(),
                    classes = static_cast<std::size_t>(vit.shape.classes);
  std::vector<double> right(tasks), loss(tasks);
  Quality quality;
  quality.logits.resize(labels.size() * classes);
  on_all_cores(tasks, [&](std::size_t task) {
    const std::size_t first = task * kAtOnce, count = std::min(kAtOnce, labels.size() - first);
    datasets::Transformer<float> model(vit.shape, weights);
    model.on_matmul = [&](const MatmulCall<float>& call) {
      const auto found = scales.find({call.site, call.layer});
      if (found == scales.end()) return false;
      const std::ptrdiff_t rows = call.rows, inner = call.inner, columns = call.columns,
                           matrices = call.matrices;
      const auto a = kernels::quantized(std::span(call.a, static_cast<std::size_t>(matrices * rows * inner)),
                                        std::span(&found->second.a, 1));
      const bool weights_already = call.site != Site::scores && call.site != Site::mix;
      const std::span<const float> b_values(call.b, static_cast<std::size_t>(matrices * columns * inner));
      const std::vector<float> b =
          weights_already ? std::vector<float>() : kernels::quantized(b_values, found->second.b);
      for (std::ptrdiff_t m = 0; m < matrices; ++m) {
        const float* of_b = (weights_already ? call.b : b.data()) + m * columns * inner;
        const auto right_operand = call.b_transposed ? datasets::row_major(of_b, inner).transposed()
                                                     : datasets::row_major(of_b, columns);
        datasets::multiply<float>(rows, columns, inner,
                                  datasets::row_major(a.data() + m * rows * inner, inner), right_operand,
                                  call.y + m * rows * columns, columns);
      }
      return true;
    };
    const auto logits = model.forward(images.subspan(first * each, count * each), static_cast<int>(count));
    const auto of_labels = labels.subspan(first, count);
    std::copy(logits.begin(), logits.end(),
              quality.logits.begin() + static_cast<std::ptrdiff_t>(first * classes));
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = logits.subspan(i * classes, classes);
      right[task] +=
          static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin()) == of_labels[i]
              ? 1
              : 0;
    }
    loss[task] =
        static_cast<double>(datasets::cross_entropy<float>(logits, of_labels, vit.shape.classes, {})) *
        static_cast<double>(count);
  });
  for (std::size_t i = 0; i < tasks; ++i) {
    quality.accuracy += right[i] / static_cast<double>(labels.size());
    quality.loss += loss[i] / static_cast<double>(labels.size());
  }
  return quality;
}

}  // namespace remeasure::experiments::twin_calibration
