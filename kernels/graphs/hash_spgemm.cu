// SPDX-License-Identifier: Apache-2.0
//
// Shivdikar, "SMASH: Sparse Matrix Atomic Scratchpad Hashing" (MS thesis, Northeastern University, 2021,
// arXiv 2105.14156): C = A B by rows, partial products merged as they arise by atomic
// additions to a table in scratchpad.
//
//   for (i in rows of the window)
//     for (k in A[i]) for (j in B[k]) {
//       slot = hash(i, j);
//       while ((old = cas(tag[slot], none, (i, j))) != none && old != (i, j)) slot = (slot + 1) % slots;
//       sum[slot] += A[i, k] * B[k, j];
//     }
//   C[window] = sort(used slots);
//
// V1: the hash keeps the order of tags, rows belong to threads. V2: low bits, and equal tokens of products
// from a counter. V3: V2 with the sums in a dense array in memory in the order of insertion, so that the
// table holds places alone. `mixed`: V2 with a multiplicative hash. The thesis overlaps V3's write-back with
// the next window by a DMA engine; on a GPU a store doesn't wait anyway, and five other blocks hash
// meanwhile.
//
// Optimisation over the plain form: blocks stay and take windows from a counter, so that heavy rows don't end
// last together; tokens are cut from the flat range of products of 256 entries of A (their prefix sums in
// shared memory), so lanes read B along its rows and a token is 128 products whatever the degrees;
// compaction, sorting and row starts happen in the table. A row with more products than a table takes several
// fillings, by columns; one that overflows is repeated with half of them. C's place isn't known before its
// windows are: entries go to fragments where the window's products would begin, and are moved once the
// windows' sizes are summed.
//
// Launch: smash_*: 256 threads, 8 bytes a slot of shared memory, as many blocks as fit; smash_offsets: 1
// block; smash_gather. Flops: 2 per product. Bytes: A once, B's rows that A refers to, 8 each to write, read
// and write an entry of C. Limits: C below 2^31 entries; tags of 31 bits (product_windows.h).
#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/graphs/hash_spgemm.h"
#include "kernels/graphs/hash_window.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kToken = 128;             // products
constexpr int kBlocksPerProcessor = 6;  // 4096 slots: 32 KB and 5 KB of 227

struct Arguments {
  const std::int32_t *a_rows, *a_column, *b_rows, *b_column;
  const float *a_value, *b_value;
  int columns, slots_log2, planned;
  const std::int32_t *windows, *first_row;
  const std::int64_t* first_product;
  std::int32_t *counters, *window_entries, *row_start, *fragment_column;
  float *fragment_value, *unsorted;
};

/// Entries of B that a piece needs of row k.
struct Range {
  int begin, end;
};

RM_DEVICE int first_at_least(const std::int32_t* column, int begin, int end, int wanted) {
  while (begin < end) {
    const int middle = begin + (end - begin) / 2;
    if (column[middle] < wanted)
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

RM_DEVICE Range range_of(const Arguments& in, const Piece& piece, int k) {
  Range range{in.b_rows[k], in.b_rows[k + 1]};
  if (piece.width < in.columns) {
    range.begin = first_at_least(in.b_column, range.begin, range.end, piece.column);
    range.end = first_at_least(in.b_column, range.begin, range.end, piece.column + piece.width);
  }
  return range;
}

/// V1: thread t has row t % rows of the piece, and of that row every (threads / rows)-th entry.
template <SlotHash kHash>
RM_DEVICE void hash_rows(const Arguments& in, const Piece& piece, const SlotTable& table) {
  const int key_bits = bits_below(piece.width), parts = kThreads / piece.rows;
  const int row = static_cast<int>(threadIdx.x) % piece.rows,
            part = static_cast<int>(threadIdx.x) / piece.rows;
  if (part >= parts) return;
  const std::uint32_t row_tag = static_cast<std::uint32_t>(row) << key_bits;
  const int end = in.a_rows[piece.row + row + 1];
  for (int entry = in.a_rows[piece.row + row] + part; entry < end; entry += parts) {
    const float scale = in.a_value[entry];
    const Range range = range_of(in, piece, in.a_column[entry]);
    for (int at = range.begin; at < range.end; ++at) {
      const std::uint32_t tag = row_tag | static_cast<std::uint32_t>(in.b_column[at] - piece.column);
      const std::uint32_t slot = home_slot<kHash>(tag, table.slots_log2, piece.rows, key_bits);
      if (!add_to_table(table, tag, scale * in.b_value[at], slot)) return;
    }
  }
}

/// V2, V3: tokens of the products of 256 entries of A at a time. Product p of them is entry e's for first[e]
/// <= p < first[e + 1].
template <SlotHash kHash, SumPlace kSums>
RM_DEVICE void hash_tokens(const Arguments& in, const Piece& piece, const SlotTable& table, float* sums) {
  RM_SHARED(int, first, [kThreads]);
  RM_SHARED(int, shift, [kThreads]);  // from a product to its entry of B
  RM_SHARED(float, scale, [kThreads]);
  RM_SHARED(std::uint32_t, row_tag, [kThreads]);
  RM_SHARED(int, next_token, );
  const int key_bits = bits_below(piece.width), thread = static_cast<int>(threadIdx.x);
  const int end = in.a_rows[piece.row + piece.rows];
  for (int begin = in.a_rows[piece.row]; begin < end; begin += kThreads) {
    const int entry_of_a = begin + thread;
    Range range{0, 0};
    if (entry_of_a < end) {
      range = range_of(in, piece, in.a_column[entry_of_a]);
      scale[thread] = in.a_value[entry_of_a];
      int row = 0, above = piece.rows;  // a_rows[row] <= entry < a_rows[above]
      while (above - row > 1) {
        const int middle = (row + above) / 2;
        if (in.a_rows[piece.row + middle] <= entry_of_a)
          row = middle;
        else
          above = middle;
      }
      row_tag[thread] = static_cast<std::uint32_t>(row) << key_bits;
    }
    int products = 0;
    first[thread] = block_exclusive_sum(range.end - range.begin, products);
    shift[thread] = range.begin - first[thread];
    if (thread == 0) next_token = 0;
    __syncthreads();
    for (;;) {
      int token = 0;
      if (lane_id() == 0)
        token = atomicAdd(table.overflow, 0) != 0 ? products : atomicAdd(&next_token, kToken);
      token = __shfl_sync(kFullWarp, token, 0);
      if (token >= products) break;
      int entry = 0;
      for (int step = kThreads / 2; step > 0; step /= 2) {
        if (first[entry + step] <= token + lane_id()) entry += step;
      }
      for (int i = 0; i < kToken; i += 32) {
        const int product = token + i + lane_id();
        const bool active = product < products;
        std::uint32_t tag = 0, slot = 0;
        float value = 0;
        if (active) {
          while (entry + 1 < kThreads && first[entry + 1] <= product) ++entry;
          const int at = shift[entry] + product;
          tag = row_tag[entry] | static_cast<std::uint32_t>(in.b_column[at] - piece.column);
          value = scale[entry] * in.b_value[at];
          slot = home_slot<kHash>(tag, table.slots_log2, piece.rows, key_bits);
        }
        if constexpr (kSums == SumPlace::fragments) {
          add_to_fragments(table, active, tag, value, slot, sums);
        } else {
          if (active) static_cast<void>(add_to_table(table, tag, value, slot));
        }
      }
    }
    __syncthreads();  // the next entries take the place of these
  }
}

template <SlotHash kHash, WorkShare kShare, SumPlace kSums>
RM_DEVICE void hash_window(const Arguments& in, int window, const SlotTable& table) {
  const int thread = static_cast<int>(threadIdx.x);
  const int row_end = in.first_row[window + 1];
  const std::int64_t base = in.first_product[window], products = in.first_product[window + 1] - base;
  Piece piece =
      first_piece(in.first_row[window], row_end - in.first_row[window], in.columns, products, in.planned);
  int emitted = 0;
  while (piece.row < row_end) {
    const std::int64_t at = base + emitted;
    float* const sums = kSums == SumPlace::fragments ? in.unsorted + at : nullptr;
    clear(table, kSums == SumPlace::fragments ? kNoTag : 0u);
    if constexpr (kSums == SumPlace::fragments) {
      const std::int64_t left = products - emitted;
      for (int i = thread; i < table.slots() && i < left; i += kThreads) sums[i] = 0;
    }
    __syncthreads();
    if constexpr (kShare == WorkShare::rows)
      hash_rows<kHash>(in, piece, table);
    else
      hash_tokens<kHash, kSums>(in, piece, table, sums);
    __syncthreads();
    if (*table.overflow != 0) {
      __syncthreads();  // all have seen it
      if (thread == 0) atomicAdd(in.counters + 1, 1);
      piece = narrowed(piece);
      continue;
    }
    const int count = compact(table);
    sort_entries(table, count);
    const int key_bits = bits_below(piece.width);
    const std::uint32_t key = (1u << key_bits) - 1u;
    for (int i = thread; i < count; i += kThreads) {
      in.fragment_column[at + i] = piece.column + static_cast<int>(table.tag[i] & key);
      in.fragment_value[at + i] =
          kSums == SumPlace::fragments ? sums[table.payload[i]] : __uint_as_float(table.payload[i]);
    }
    if (piece.column == 0) {
      for (int row = thread; row < piece.rows; row += kThreads) {
        in.row_start[piece.row + row] =
            emitted + entries_below(table, count, static_cast<std::uint32_t>(row) << key_bits);
      }
    }
    __syncthreads();  // the next piece clears the table
    emitted += count;
    piece = following(piece, row_end, in.columns, count, in.planned);
  }
  if (thread == 0) in.window_entries[window] = emitted;
}

template <SlotHash kHash, WorkShare kShare, SumPlace kSums>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor) smash_kernel(Arguments in) {
  RM_DYNAMIC_SHARED(std::uint32_t, memory);
  RM_SHARED(int, words, [3]);
  const SlotTable table{memory, memory + (1 << in.slots_log2), &words[0], &words[1], in.slots_log2};
  const int windows = *in.windows;
  for (;;) {
    if (threadIdx.x == 0) words[2] = atomicAdd(in.counters, 1);
    __syncthreads();
    const int window = words[2];
    if (window >= windows) return;
    hash_window<kHash, kShare, kSums>(in, window, table);
    __syncthreads();  // all have read the window's number
  }
}

/// Where each window's entries begin in C.
__global__ void __launch_bounds__(1024)
    offsets_kernel(const std::int32_t* __restrict__ count, const std::int32_t* __restrict__ entries,
                   std::int32_t* __restrict__ offset) {
  const int windows = *count;
  int before = 0;
  for (int begin = 0; begin < windows; begin += static_cast<int>(blockDim.x)) {
    const int window = begin + static_cast<int>(threadIdx.x);
    int sum = 0;
    const int own = block_exclusive_sum(window < windows ? entries[window] : 0, sum);
    if (window < windows) offset[window] = before + own;
    before += sum;
  }
  if (threadIdx.x == 0) offset[windows] = before;
}

struct Gather {
  const std::int32_t *windows, *first_row;
  const std::int64_t* first_product;
  const std::int32_t *offset, *row_start, *fragment_column;
  const float* fragment_value;
  std::int32_t *row_pointers, *column;
  float* value;
  int rows;
  long long room;
};

/// From fragments to C.
__global__ void __launch_bounds__(kThreads) gather_kernel(Gather in) {
  const int thread = static_cast<int>(threadIdx.x), windows = *in.windows;
  for (int window = static_cast<int>(blockIdx.x); window < windows; window += static_cast<int>(gridDim.x)) {
    const int begin = in.offset[window], count = in.offset[window + 1] - begin;
    const std::int64_t from = in.first_product[window];
    for (int i = thread; i < count && begin + i < in.room; i += kThreads) {
      in.column[begin + i] = in.fragment_column[from + i];
      in.value[begin + i] = in.fragment_value[from + i];
    }
    for (int row = in.first_row[window] + thread; row < in.first_row[window + 1]; row += kThreads) {
      in.row_pointers[row] = begin + in.row_start[row];
    }
  }
  if (blockIdx.x == 0 && thread == 0) in.row_pointers[in.rows] = in.offset[windows];
}

using Kernel = void (*)(Arguments);

Kernel kernel_of(const SmashVersion& version) {
  constexpr auto table = SumPlace::table;
  const bool tokens = version.share == WorkShare::tokens, fragments = version.sums == SumPlace::fragments;
  if (!tokens && !fragments && version.hash == SlotHash::high)
    return smash_kernel<SlotHash::high, WorkShare::rows, table>;
  if (tokens && !fragments && version.hash == SlotHash::low)
    return smash_kernel<SlotHash::low, WorkShare::tokens, table>;
  if (tokens && !fragments && version.hash == SlotHash::mixed)
    return smash_kernel<SlotHash::mixed, WorkShare::tokens, table>;
  if (tokens && fragments && version.hash == SlotHash::low) {
    return smash_kernel<SlotHash::low, WorkShare::tokens, SumPlace::fragments>;
  }
  throw std::invalid_argument(std::string("hash_spgemm: no kernel is compiled for the version ") +
                              version.name);
}

[[noreturn]] void refuse(const char* what, std::size_t found, std::size_t wanted) {
  throw std::invalid_argument(std::string("hash_spgemm: ") + what + " has " + std::to_string(found) +
                              " elements, expected " + std::to_string(wanted));
}

void require(const char* what, std::size_t found, std::size_t wanted) {
  if (found < wanted) refuse(what, found, wanted);
}

}  // namespace

template <class Target>
void hash_spgemm(Stream<Target>& stream, const SmashVersion& version, const CsrView<Target>& a,
                 const CsrView<Target>& b, const DeviceWindows<Target>& windows,
                 const SmashScratch<Target>& scratch, const DeviceCsrResult<Target>& c) {
  check_csr("hash_spgemm: A", a);
  check_csr("hash_spgemm: B", b);
  if (a.columns != b.rows) {
    throw std::invalid_argument("hash_spgemm: A has " + std::to_string(a.columns) + " columns, B " +
                                std::to_string(b.rows) + " rows");
  }
  const auto rows = static_cast<std::size_t>(a.rows), products = static_cast<std::size_t>(windows.products);
  require("A's values", a.values.size(), a.column_indices.size());
  require("B's values", b.values.size(), b.column_indices.size());
  require("the windows' first rows", windows.first_row.size(), 1);
  require("the number of windows", windows.count.size(), 1);
  const std::size_t count = windows.most();
  require("the windows' first products", windows.first_product.size(), count + 1);
  require("counters", scratch.counters.size(), 2);
  require("window entries", scratch.window_entries.size(), count);
  require("window offsets", scratch.window_offset.size(), count + 1);
  require("row starts", scratch.row_start.size(), rows);
  require("fragment columns", scratch.fragment_column.size(), products);
  require("fragment values", scratch.fragment_value.size(), products);
  if (version.sums == SumPlace::fragments) require("unsorted sums", scratch.unsorted.size(), products);
  require("C's row pointers", c.row_pointers.size(), rows + 1);
  if (c.column.size() != c.value.size()) refuse("C's values", c.value.size(), c.column.size());

  const Kernel kernel = kernel_of(version);
  const auto processors = static_cast<unsigned>(std::max(1, stream.device().properties().multiprocessors));
  const unsigned all = std::max(1u, static_cast<unsigned>(count));
  stream.fill_bytes(scratch.counters, 0);
  launch({.name = version.name,
          .grid = std::min(all, kBlocksPerProcessor * processors),
          .block = kThreads,
          .shared_bytes = table_bytes(windows.table),
          .order_dependent = true},
         stream, kernel,
         Arguments{a.row_pointers.data(), a.column_indices.data(), b.row_pointers.data(),
                   b.column_indices.data(), a.values.data(), b.values.data(), static_cast<int>(b.columns),
                   windows.table.slots_log2(), windows.table.products(), windows.count.data(),
                   windows.first_row.data(), windows.first_product.data(), scratch.counters.data(),
                   scratch.window_entries.data(), scratch.row_start.data(), scratch.fragment_column.data(),
                   scratch.fragment_value.data(), scratch.unsorted.data()});
  launch({.name = "smash_offsets", .block = 1024}, stream, offsets_kernel, windows.count.data(),
         scratch.window_entries.data(), scratch.window_offset.data());
  launch({.name = "smash_gather", .grid = std::min(all, 16 * processors), .block = kThreads}, stream,
         gather_kernel,
         Gather{windows.count.data(), windows.first_row.data(), windows.first_product.data(),
                scratch.window_offset.data(), scratch.row_start.data(), scratch.fragment_column.data(),
                scratch.fragment_value.data(), c.row_pointers.data(), c.column.data(), c.value.data(),
                static_cast<int>(a.rows), static_cast<long long>(c.column.size())});
}

template void hash_spgemm(Stream<CompiledTarget>&, const SmashVersion&, const CsrView<CompiledTarget>&,
                          const CsrView<CompiledTarget>&, const DeviceWindows<CompiledTarget>&,
                          const SmashScratch<CompiledTarget>&, const DeviceCsrResult<CompiledTarget>&);

}  // namespace remeasure::kernels
