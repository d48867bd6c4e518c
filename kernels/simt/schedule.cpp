// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/schedule.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace remeasure::simt {
namespace {

// splitmix64 (Steele, Lea, Flood 2014): a good stream from any seed, one multiplication deep.
std::uint64_t next(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

void Schedule::begin_launch(std::uint64_t blocks, unsigned block_threads) {
  if (ascending()) return;
  blocks_ = blocks;
  style_ = static_cast<Style>((seed_ - 1) % 4);
  std::uint64_t state = seed_;
  // Any multiplier without a common factor permutes the residues. Kept below 2^31, the largest grid, so that
  // the product of the two stays inside 64 bits.
  do {
    multiplier_ = next(state) % std::min<std::uint64_t>(blocks, 0x7fffffffu) + 1;
  } while (std::gcd(multiplier_, blocks) != 1);
  offset_ = next(state) % blocks;
  if (style_ == Style::descending) {
    multiplier_ = blocks - 1;
    offset_ = blocks - 1;
    if (blocks == 1) multiplier_ = 1;
  }
  order_.resize(block_threads);
}

std::uint64_t Schedule::block_at(std::uint64_t position) const {
  if (ascending()) return position;
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(position) * multiplier_ + offset_) % blocks_);
}

const std::uint16_t* Schedule::thread_order(std::uint64_t block) {
  if (ascending()) return nullptr;
  state_ = seed_ ^ (block * 0xd1342543de82ef95u);
  const auto count = static_cast<unsigned>(order_.size());
  std::iota(order_.begin(), order_.end(), std::uint16_t{0});
  const auto shuffle = [&](unsigned first, unsigned last) {
    for (unsigned i = last - first; i > 1; --i) std::swap(order_[first + i - 1], order_[first + choose(i)]);
  };
  switch (style_) {
    case Style::descending:
      std::reverse(order_.begin(), order_.end());
      break;
    case Style::lanes:  // warps ascending, lanes mixed inside each
      for (unsigned first = 0; first < count; first += 32) shuffle(first, std::min(first + 32, count));
      break;
    case Style::warps: {  // warps mixed, lanes ascending inside each
      std::vector<std::uint16_t> warps((count + 31) / 32);
      std::iota(warps.begin(), warps.end(), std::uint16_t{0});
      for (auto i = static_cast<unsigned>(warps.size()); i > 1; --i)
        std::swap(warps[i - 1], warps[choose(i)]);
      unsigned at = 0;
      for (const unsigned warp : warps) {
        for (unsigned thread = warp * 32; thread < std::min(warp * 32 + 32, count); ++thread) {
          order_[at++] = static_cast<std::uint16_t>(thread);
        }
      }
      break;
    }
    case Style::random:
      shuffle(0, count);
      break;
  }
  return order_.data();
}

unsigned Schedule::next_turn(unsigned blocks) {
  if (ascending()) return 0;
  return style_ == Style::descending ? blocks - 1 : choose(blocks);
}

bool Schedule::gives_turn_away() {
  if (ascending() || style_ == Style::descending || style_ == Style::warps) return false;
  return choose(2) == 0;
}

unsigned Schedule::choose(unsigned bound) {
  return static_cast<unsigned>(next(state_) % bound);
}

}  // namespace remeasure::simt
