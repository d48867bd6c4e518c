// SPDX-License-Identifier: Apache-2.0
//
// What the checked build remembers of each piece of memory: whether it was written at all, who wrote it last,
// and who has read it since. Two accesses race when at least one writes, they are not both atomic, and
// nothing orders them; the order is happens-before (block barriers, warp rendezvous), not the order in which
// this run happened to do them, so a race is found under every schedule. Same-value writes are races too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace remeasure::simt {

/// One granule. The accesses kept are those of one scope: a launch for global memory, a block for shared.
/// The reader set is kept as FastTrack does (Flanagan, Freund, PLDI 2009): one reader while all earlier ones
/// happened before it, else lanes of one warp, else "several warps"; with the barrier as the only order
/// between warps that summary loses nothing.
struct ShadowCell {
  std::uint32_t scope;
  std::uint32_t write_block;
  std::uint32_t write_time;
  std::uint32_t write_place;  ///< program address of the access, for messages
  std::uint32_t read_block;
  std::uint32_t read_time;   ///< of the latest read in the set
  std::uint32_t read_lanes;  ///< one warp: the lanes; several warps: two thread numbers of 16 bits
  std::uint32_t read_place;
  std::uint32_t read_other_block;  ///< one more block that has read, if kOtherBlock
  std::uint32_t read_other_time;
  std::uint16_t write_thread;
  std::uint8_t read_warp;  ///< or kNobody, kSeveralWarps
  std::uint8_t flags;

  static constexpr std::uint8_t kNobody = 0xff;
  static constexpr std::uint8_t kSeveralWarps = 0xfe;
  enum Flag : std::uint8_t {
    kInitialised = 1,
    kWritten = 2,   ///< in this scope
    kAtomic = 4,    ///< the last write was
    kInFlight = 8,  ///< destination of a cp.async that has not been waited for
    kOtherBlock = 16,
    kCountedRead = 32,  ///< in the distinct bytes of this launch
    kCountedWrite = 64,
  };
};
static_assert(sizeof(ShadowCell) == 44);

/// The cells of one array. Starts with granules of 8 bytes and goes down to what the kernels' accesses need,
/// so that a float array has a cell per element and only byte arrays pay for bytes.
class Shadow {
 public:
  Shadow(std::size_t bytes, bool initialised);

  /// Makes granules small enough for an access at this offset.
  void refine(std::size_t offset, std::size_t bytes) {
    if (((offset | bytes) & (granule() - 1)) != 0) split(offset | bytes);
  }
  std::size_t granule() const { return std::size_t{1} << log2_; }
  ShadowCell& cell(std::size_t offset) { return cells_[offset >> log2_]; }
  std::size_t bytes() const { return bytes_; }

  void mark_initialised(std::size_t offset, std::size_t bytes);
  bool is_initialised(std::size_t offset, std::size_t bytes) const;

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  using Cells = std::unique_ptr<ShadowCell[], Free>;

  static Cells allocate(std::size_t count);
  std::size_t count() const { return (bytes_ + granule() - 1) >> log2_; }
  void split(std::size_t alignment);

  std::size_t bytes_;
  unsigned log2_ = 3;
  Cells cells_;
};

}  // namespace remeasure::simt
