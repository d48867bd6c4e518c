// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "datasets/precision/low_bit_network.h"

namespace remeasure::datasets {

/// VGG-16 as APNN-TC runs it (the authors' 2_imagenet_vgg.cu).
inline constexpr std::array<NetworkLayer, 16> kVggLayers = {{{"conv1", 64, 3, 1, false},
                                                             {"conv2", 64, 3, 1, true},
                                                             {"conv3", 128, 3, 1, false},
                                                             {"conv4", 128, 3, 1, true},
                                                             {"conv5", 256, 3, 1, false},
                                                             {"conv6", 256, 3, 1, false},
                                                             {"conv7", 256, 3, 1, true},
                                                             {"conv8", 512, 3, 1, false},
                                                             {"conv9", 512, 3, 1, false},
                                                             {"conv10", 512, 3, 1, true},
                                                             {"conv11", 512, 3, 1, false},
                                                             {"conv12", 512, 3, 1, false},
                                                             {"conv13", 512, 3, 1, true},
                                                             {"fc1", 4096, 0, 1, false},
                                                             {"fc2", 4096, 0, 1, false},
                                                             {"fc3", 1000, 0, 1, false}}};

/// "low_bit_vgg": parameters as network_definition's.
extern const Definition low_bit_vgg_definition;

}  // namespace remeasure::datasets
