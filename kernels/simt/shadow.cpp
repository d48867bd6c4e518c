// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/shadow.h"

#include <bit>
#include <cstdlib>
#include <new>

namespace remeasure::simt {

// calloc, because large arrays are often touched in part and untouched zero pages cost nothing. All zeros is
// a valid cell: of no scope (scopes count from 1), so neither reader nor writer is looked at.
Shadow::Cells Shadow::allocate(std::size_t count) {
  auto* cells = static_cast<ShadowCell*>(std::calloc(count == 0 ? 1 : count, sizeof(ShadowCell)));
  if (cells == nullptr) throw std::bad_alloc();
  return Cells(cells);
}

void Shadow::Free::operator()(void* memory) const {
  std::free(memory);
}

Shadow::Shadow(std::size_t bytes, bool initialised) : bytes_(bytes), cells_(allocate(count())) {
  if (initialised) mark_initialised(0, bytes);
}

void Shadow::split(std::size_t alignment) {
  const auto log2 = static_cast<unsigned>(std::countr_zero(alignment));
  const std::size_t old_count = count();
  const unsigned times = log2_ - log2;
  log2_ = log2;
  Cells finer = allocate(count());
  for (std::size_t i = 0; i < count() && (i >> times) < old_count; ++i) finer[i] = cells_[i >> times];
  cells_ = std::move(finer);
}

void Shadow::mark_initialised(std::size_t offset, std::size_t bytes) {
  if (bytes == 0) return;
  // The rest of an array whose size is no multiple of the granule has a cell of its own.
  if (offset + bytes == bytes_) bytes = (offset + bytes + granule() - 1) / granule() * granule() - offset;
  refine(offset, bytes);
  for (std::size_t at = offset; at < offset + bytes; at += granule()) {
    cell(at).flags |= ShadowCell::kInitialised;
    cell(at).flags &= static_cast<std::uint8_t>(~ShadowCell::kInFlight);
  }
}

bool Shadow::is_initialised(std::size_t offset, std::size_t bytes) const {
  for (std::size_t at = offset >> log2_; at < (offset + bytes + granule() - 1) >> log2_; ++at) {
    if ((cells_[at].flags & ShadowCell::kInitialised) == 0) return false;
  }
  return true;
}

}  // namespace remeasure::simt
