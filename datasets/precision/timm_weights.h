// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "datasets/learning/transformer.h"

namespace remeasure::datasets {

/// The weights of a vision transformer of timm (VisionTransformer: vit_*, deit_*) as weight_slices has them.
/// `npz`: numpy.savez of its state dict: cls_token, pos_embed, patch_embed.proj.*, blocks.<i>.{norm1,
/// attn.qkv, attn.proj, norm2, mlp.fc1, mlp.fc2}.*, norm.*, head.*. Dense weights there are [outputs,
/// inputs], the patches' [dim, channel, y, x]; here a patch is [y, x, channel]. Throws DatasetError for an
/// array that is missing, of another shape, or of a layer that the shape doesn't have.
std::vector<float> timm_weights(const std::filesystem::path& npz, const TransformerShape& shape, int patch);

}  // namespace remeasure::datasets
