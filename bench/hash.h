// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace remeasure::bench {

/// XXH64 (Y. Collet, xxHash specification 0.1.1): quick enough to hash every input before and after a run.
/// Not for anything that an adversary chooses.
std::uint64_t hash_bytes(const void* data, std::size_t bytes, std::uint64_t seed = 0);
std::uint64_t hash_text(std::string_view text, std::uint64_t seed = 0);

/// 16 hexadecimal digits.
std::string hex(std::uint64_t hash);

}  // namespace remeasure::bench
