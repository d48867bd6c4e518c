// SPDX-License-Identifier: Apache-2.0
#include "kernels/graphs/hash_spgemm_reference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <numeric>
#include <queue>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

template <class Number>
std::size_t at(Number i) {
  return static_cast<std::size_t>(i);
}

/// body(first, last) for blocks of at most `each` of `count` items, taken in turn by the threads.
template <class Body>
void for_each_block(int count, int each, int threads, const Body& body) {
  const int blocks = (count + each - 1) / each;
  if (blocks == 0) return;
  for_each_row_block(blocks, 1, threads,
                     [&](int block, int, int) { body(block * each, std::min(count, (block + 1) * each)); });
}

/// visit(row of the piece, column of C, value of A, value of B) for all products of a piece, until it says
/// no.
template <class Visit>
void for_each_product(const HostCsr& a, const HostCsr& b, const Piece& piece, const Visit& visit) {
  const bool all = piece.width == b.columns;
  for (int row = 0; row < piece.rows; ++row) {
    for (auto e = a.row_pointers[at(piece.row + row)]; e < a.row_pointers[at(piece.row + row + 1)]; ++e) {
      const auto k = at(a.column_indices[at(e)]);
      auto begin = b.column_indices.begin() + b.row_pointers[k],
           end = b.column_indices.begin() + b.row_pointers[k + 1];
      if (!all) {
        begin = std::lower_bound(begin, end, piece.column);
        end = std::lower_bound(begin, end, piece.column + piece.width);
      }
      for (; begin < end; ++begin) {
        if (!visit(row, *begin, a.values[at(e)], b.values[at(begin - b.column_indices.begin())])) return;
      }
    }
  }
}

/// The table on a CPU.
template <class Scalar, SlotHash kHash>
class Table {
 public:
  struct Slot {
    std::uint32_t tag;
    Scalar sum;
  };

  explicit Table(int slots_log2) : slots_log2_(slots_log2), slots_(std::size_t{1} << slots_log2) {}

  void clear() {
    std::fill(slots_.begin(), slots_.end(), Slot{kNoTag, Scalar(0)});
    used_ = 0;
  }

  /// How many slots were looked at; 0 if all hold other tags.
  int add(std::uint32_t tag, Scalar product, int rows, int key_bits) {
    const auto last = static_cast<std::uint32_t>(slots_.size() - 1);
    std::uint32_t slot = home_slot<kHash>(tag, slots_log2_, rows, key_bits);
    for (int probes = 1; probes <= static_cast<int>(slots_.size()); ++probes, slot = (slot + 1) & last) {
      if (slots_[slot].tag == kNoTag) {
        slots_[slot].tag = tag;
        ++used_;
      }
      if (slots_[slot].tag != tag) continue;
      slots_[slot].sum += product;
      return probes;
    }
    return 0;
  }

  /// Used slots by ascending tag, which is below 2^tag_bits: a radix sort of 11 bits at a time.
  const std::vector<Slot>& sorted(int tag_bits) {
    constexpr int kBits = 11;
    sorted_.clear();
    for (const Slot& slot : slots_) {
      if (slot.tag != kNoTag) sorted_.push_back(slot);
    }
    scratch_.resize(sorted_.size());
    for (int shift = 0; shift < tag_bits; shift += kBits) {
      std::array<std::uint32_t, 1u << kBits> next{};
      const auto digit = [&](const Slot& slot) { return slot.tag >> shift & ((1u << kBits) - 1); };
      for (const Slot& slot : sorted_) ++next[digit(slot)];
      std::exclusive_scan(next.begin(), next.end(), next.begin(), 0u);
      for (const Slot& slot : sorted_) scratch_[next[digit(slot)]++] = slot;
      sorted_.swap(scratch_);
    }
    return sorted_;
  }
  std::size_t used() const { return used_; }

 private:
  int slots_log2_;
  std::vector<Slot> slots_, sorted_, scratch_;
  std::size_t used_ = 0;
};

/// Fills tables for the pieces of one window; use(piece, table) for each that held. Returns what they went
/// through.
template <class Scalar, SlotHash kHash, class Use>
HashStatistics fill_window(const HostCsr& a, const HostCsr& b, const WindowPlan& plan, int window,
                           Table<Scalar, kHash>& table, const Use& use) {
  HashStatistics sum;
  const int row_end = plan.first_row[at(window) + 1], planned = plan.table.products();
  const std::int64_t of_window = plan.first_product[at(window) + 1] - plan.first_product[at(window)];
  const int first = plan.first_row[at(window)];
  const auto columns = static_cast<int>(b.columns);
  Piece piece = first_piece(first, row_end - first, columns, of_window, planned);
  while (piece.row < row_end) {
    const int key_bits = bits_below(piece.width);
    HashStatistics filling{.fillings = 1};
    bool held = true;
    table.clear();
    for_each_product(a, b, piece, [&](int row, int column, float x, float y) {
      const auto tag =
          static_cast<std::uint32_t>(row) << key_bits | static_cast<std::uint32_t>(column - piece.column);
      const int probes =
          table.add(tag, static_cast<Scalar>(x) * static_cast<Scalar>(y), piece.rows, key_bits);
      ++filling.products;
      filling.probes += probes;
      filling.longest = std::max<std::int64_t>(filling.longest, probes);
      return held = probes > 0;
    });
    if (!held) {
      ++sum.overflows;
      piece = narrowed(piece);
      continue;
    }
    filling.entries = use(piece, table);
    sum += filling;
    piece = following(piece, row_end, columns, static_cast<int>(filling.entries), planned);
  }
  return sum;
}

constexpr int kWindowsEach = 16;  // a thread takes

template <class Scalar, SlotHash kHash>
void hash_fragments(const HostCsr& a, const HostCsr& b, const WindowPlan& plan,
                    const HashFragments<Scalar>& fragments, std::span<std::int32_t> row_start, int threads) {
  for_each_block(plan.windows(), kWindowsEach, threads, [&](int first, int last) {
    Table<Scalar, kHash> table(plan.table.slots_log2());
    for (int window = first; window < last; ++window) {
      const auto base = at(plan.first_product[at(window)]);
      std::size_t emitted = 0;
      fill_window<Scalar, kHash>(
          a, b, plan, window, table, [&](const Piece& piece, Table<Scalar, kHash>& filled) {
            const int key_bits = bits_below(piece.width);
            const auto& entries = filled.sorted(key_bits + bits_below(piece.rows));
            int row = piece.column == 0 ? 0 : piece.rows;  // the next whose start isn't known
            const auto start_rows = [&](int end) {
              for (; row < end; ++row) row_start[at(piece.row + row)] = static_cast<std::int32_t>(emitted);
            };
            for (const auto& entry : entries) {
              start_rows(static_cast<int>(entry.tag >> key_bits) + 1);
              fragments.column[base + emitted] =
                  piece.column + static_cast<std::int32_t>(entry.tag & ((1u << key_bits) - 1));
              fragments.value[base + emitted] = entry.sum;
              ++emitted;
            }
            start_rows(piece.rows);
            return static_cast<std::int64_t>(entries.size());
          });
      fragments.window_entries[at(window)] = static_cast<std::int32_t>(emitted);
    }
  });
}

template <class Scalar, class Call>
auto with_hash(SlotHash hash, const Call& call) {
  switch (hash) {
    case SlotHash::high:
      return call.template operator()<SlotHash::high>();
    case SlotHash::low:
      return call.template operator()<SlotHash::low>();
    case SlotHash::mixed:
      break;
  }
  return call.template operator()<SlotHash::mixed>();
}

/// One block of rows of the oracle. `row_pointers` has the rows' sizes: spgemm_reference joins the blocks and
/// sums them.
template <class Scalar>
SparseProduct<Scalar> rows_by_dense_sums(const HostCsr& a, const HostCsr& b, int first, int last) {
  SparseProduct<Scalar> c;
  std::vector<Scalar> sum(at(b.columns), Scalar(0)), magnitude = sum;
  std::vector<std::int32_t> terms(at(b.columns), 0), touched;
  for (int row = first; row < last; ++row) {
    touched.clear();
    for_each_product(a, b, {row, 1, 0, static_cast<int>(b.columns)}, [&](int, int column, float x, float y) {
      const Scalar product = static_cast<Scalar>(x) * static_cast<Scalar>(y);
      if (terms[at(column)]++ == 0) touched.push_back(column);
      sum[at(column)] += product;
      magnitude[at(column)] += std::abs(product);
      return true;
    });
    std::sort(touched.begin(), touched.end());
    for (const std::int32_t column : touched) {
      c.column.push_back(column);
      c.value.push_back(std::exchange(sum[at(column)], Scalar(0)));
      c.magnitude.push_back(std::exchange(magnitude[at(column)], Scalar(0)));
      c.terms.push_back(std::exchange(terms[at(column)], 0));
    }
    c.row_pointers.push_back(static_cast<std::int32_t>(touched.size()));
  }
  return c;
}

void require_values(const HostCsr& a, const HostCsr& b) {
  if (a.values.size() == a.column_indices.size() && b.values.size() == b.column_indices.size()) return;
  throw std::invalid_argument("sparse product: " + std::to_string(a.values.size()) + " and " +
                              std::to_string(b.values.size()) + " values for " + std::to_string(a.edges()) +
                              " and " + std::to_string(b.edges()) + " entries");
}

template <class Value>
void append(std::vector<Value>& to, const std::vector<Value>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

template <class Scalar>
SparseProduct<Scalar> spgemm_reference(const HostCsr& a, const HostCsr& b, int threads) {
  require_values(a, b);
  static_cast<void>(products_of_rows(a, b));  // checks the matrices
  constexpr int kRowsEach = 256;
  std::vector<SparseProduct<Scalar>> parts(at((a.rows + kRowsEach - 1) / kRowsEach));
  for_each_block(static_cast<int>(a.rows), kRowsEach, threads, [&](int first, int last) {
    parts[at(first / kRowsEach)] = rows_by_dense_sums<Scalar>(a, b, first, last);
  });
  SparseProduct<Scalar> c{.row_pointers = {0}};
  for (const SparseProduct<Scalar>& part : parts) {
    append(c.row_pointers, part.row_pointers);
    append(c.column, part.column);
    append(c.value, part.value);
    append(c.magnitude, part.magnitude);
    append(c.terms, part.terms);
  }
  std::partial_sum(c.row_pointers.begin(), c.row_pointers.end(), c.row_pointers.begin());
  return c;
}

template <class Scalar>
void hash_spgemm_reference(const HostCsr& a, const HostCsr& b, const WindowPlan& plan, SlotHash hash,
                           const HashFragments<Scalar>& fragments, const CsrResult<Scalar>& c, int threads) {
  require_values(a, b);
  const auto products = at(plan.products());
  if (a.columns != b.rows || plan.first_row.back() != a.rows || fragments.column.size() < products ||
      fragments.value.size() < products || fragments.window_entries.size() < at(plan.windows()) ||
      c.row_pointers.size() != at(a.rows) + 1) {
    throw std::invalid_argument("hash_spgemm_reference: windows of " + std::to_string(plan.first_row.back()) +
                                " rows and " + std::to_string(products) + " products don't fit A (" +
                                std::to_string(a.rows) + " rows), the fragments or C");
  }
  with_hash<Scalar>(hash, [&]<SlotHash kHash>() {
    hash_fragments<Scalar, kHash>(a, b, plan, fragments, c.row_pointers, threads);
  });
  std::vector<std::int32_t> offset(at(plan.windows()) + 1, 0);
  std::partial_sum(fragments.window_entries.begin(), fragments.window_entries.begin() + plan.windows(),
                   offset.begin() + 1);
  if (c.column.size() < at(offset.back()) || c.value.size() < at(offset.back())) {
    throw std::invalid_argument("hash_spgemm_reference: C has " + std::to_string(offset.back()) +
                                " entries, the result room for " + std::to_string(c.column.size()));
  }
  for_each_block(plan.windows(), 4 * kWindowsEach, threads, [&](int first, int last) {
    for (int window = first; window < last; ++window) {
      const auto from = plan.first_product[at(window)];
      const auto count = fragments.window_entries[at(window)], to = offset[at(window)];
      std::copy_n(fragments.column.begin() + from, count, c.column.begin() + to);
      std::copy_n(fragments.value.begin() + from, count, c.value.begin() + to);
      for (auto row = plan.first_row[at(window)]; row < plan.first_row[at(window) + 1]; ++row)
        c.row_pointers[at(row)] += to;
    }
  });
  c.row_pointers.back() = offset.back();
}

HashStatistics& HashStatistics::operator+=(const HashStatistics& other) {
  products += other.products;
  entries += other.entries;
  probes += other.probes;
  longest = std::max(longest, other.longest);
  fillings += other.fillings;
  overflows += other.overflows;
  return *this;
}

HashStatistics hash_statistics(const HostCsr& a, const HostCsr& b, const WindowPlan& plan, SlotHash hash,
                               int threads) {
  return with_hash<float>(hash, [&]<SlotHash kHash>() {
    HashStatistics sum;
    std::mutex mutex;
    for_each_block(plan.windows(), kWindowsEach, threads, [&](int first, int last) {
      Table<float, kHash> table(plan.table.slots_log2());
      HashStatistics part;
      for (int window = first; window < last; ++window) {
        part += fill_window<float, kHash>(a, b, plan, window, table,
                                          [](const Piece&, Table<float, kHash>& filled) {
                                            return static_cast<std::int64_t>(filled.used());
                                          });
      }
      const std::lock_guard lock(mutex);
      sum += part;
    });
    return sum;
  });
}

double row_imbalance(std::span<const std::int64_t> products, int threads) {
  std::vector<std::int64_t> load(at(threads), 0);
  for (std::size_t i = 0; i < products.size(); ++i) load[i % load.size()] += products[i];
  const auto sum = static_cast<double>(std::accumulate(load.begin(), load.end(), std::int64_t{0}));
  return static_cast<double>(*std::max_element(load.begin(), load.end())) * threads / sum;
}

double token_imbalance(const HostCsr& a, const HostCsr& b, int entries, int threads) {
  std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>> done;
  for (int i = 0; i < threads; ++i) done.push(0);
  std::int64_t sum = 0, last = 0;
  for (std::size_t begin = 0; begin < a.column_indices.size(); begin += at(entries)) {
    std::int64_t products = 0;
    for (std::size_t e = begin; e < std::min(a.column_indices.size(), begin + at(entries)); ++e) {
      products += b.row_pointers[at(a.column_indices[e]) + 1] - b.row_pointers[at(a.column_indices[e])];
    }
    sum += products;
    const std::int64_t finished = done.top() + products;
    done.pop();
    done.push(finished);
    last = std::max(last, finished);
  }
  return static_cast<double>(last) * threads / static_cast<double>(sum);
}

template SparseProduct<float> spgemm_reference(const HostCsr&, const HostCsr&, int);
template SparseProduct<double> spgemm_reference(const HostCsr&, const HostCsr&, int);
template void hash_spgemm_reference(const HostCsr&, const HostCsr&, const WindowPlan&, SlotHash,
                                    const HashFragments<float>&, const CsrResult<float>&, int);
template void hash_spgemm_reference(const HostCsr&, const HostCsr&, const WindowPlan&, SlotHash,
                                    const HashFragments<double>&, const CsrResult<double>&, int);

}  // namespace remeasure::kernels
