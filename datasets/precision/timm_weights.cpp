// SPDX-License-Identifier: Apache-2.0
#include "datasets/precision/timm_weights.h"

#include <fmt/format.h>

#include "datasets/dataset.h"
#include "datasets/import/npz.h"

namespace remeasure::datasets {
namespace {

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

/// "block3.fc1.weight" is timm's "blocks.3.mlp.fc1.weight".
std::string timm_name(const std::string& name) {
  static constexpr std::pair<const char*, const char*> kParts[] = {
      {"qkv.", "attn.qkv."}, {"proj.", "attn.proj."}, {"fc1.", "mlp.fc1."},
      {"fc2.", "mlp.fc2."},  {"norm1.", "norm1."},    {"norm2.", "norm2."}};
  if (name == "class_token") return "cls_token";
  if (name == "position") return "pos_embed";
  std::string result = name;
  if (const auto gain = result.find(".gain"); gain != std::string::npos) result.replace(gain, 5, ".weight");
  if (result.starts_with("embed.")) return "patch_embed.proj." + result.substr(6);
  if (!result.starts_with("block")) return result;
  const auto dot = result.find('.');
  for (const auto& [ours, theirs] : kParts) {
    if (result.substr(dot + 1).starts_with(ours)) {
      return fmt::format("blocks.{}.{}{}", result.substr(5, dot - 5), theirs,
                         result.substr(dot + 1 + std::string(ours).size()));
    }
  }
  return result;
}

Shape shape_there(const WeightSlice& slice, int patch) {
  const auto rows = static_cast<std::uint64_t>(slice.rows),
             columns = static_cast<std::uint64_t>(slice.columns), side = static_cast<std::uint64_t>(patch);
  if (slice.name == "class_token" || slice.name == "position") return {1, rows, columns};
  if (slice.name == "embed.weight") return {columns, 3, side, side};
  if (slice.name.ends_with(".weight")) return {columns, rows};
  return {columns};
}

}  // namespace

std::vector<float> timm_weights(const std::filesystem::path& npz, const TransformerShape& shape, int patch) {
  const std::string beyond = fmt::format("blocks.{}.", shape.layers);
  for (const std::string& name : npz_names(npz)) {
    if (name.starts_with(beyond)) {
      throw DatasetError(
          fmt::format("{}: '{}' is of a model of more than {} layers", npz.string(), name, shape.layers));
    }
  }
  std::vector<float> weights(weight_count(shape));
  for (const WeightSlice& slice : weight_slices(shape)) {
    const std::string name = timm_name(slice.name);
    const NpyArray array = read_npz(npz, name);
    if (const Shape expected = shape_there(slice, patch); array.shape != expected) {
      throw DatasetError(fmt::format("{}: '{}' is {}; of the parameters follows {}", npz.string(), name,
                                     to_string(array.shape), to_string(expected)));
    }
    const std::vector<float> values = array.as_f32();
    float* const to = weights.data() + slice.offset;
    if (!slice.name.ends_with(".weight")) {
      std::copy(values.begin(), values.end(), to);
      continue;
    }
    const std::size_t area = index(patch) * index(patch);
    for (std::size_t out = 0; out < index(slice.columns); ++out) {
      for (std::size_t in = 0; in < index(slice.rows); ++in) {
        // Of the patches [y, x, channel] here is [channel, y, x] there.
        const std::size_t there = slice.name == "embed.weight" ? in % 3 * area + in / 3 : in;
        to[in * index(slice.columns) + out] = values[out * index(slice.rows) + there];
      }
    }
  }
  return weights;
}

}  // namespace remeasure::datasets
