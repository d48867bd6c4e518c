// SPDX-License-Identifier: Apache-2.0
//
// The dense layer of linear bounds in one launch (Feng et al., "Faith: An Efficient Framework for Transformer
// Verification on GPUs", USENIX ATC 2022, sections 3 and 4: one object for the four arrays, a kernel that
// splits the matrix by sign as it goes).
//
//   for (m in rows) for (n in columns)
//     for (k in inner) w = matrix[n][k];
//       lower'[m][n] += w * (w > 0 ? lower[m][k] : upper[m][k]);
//       upper'[m][n] += w * (w > 0 ? upper[m][k] : lower[m][k]);
//
// Optimisation: W+ and W- are never written; lower and upper are read once and both sums made in one pass,
// two multiply-adds a term where four products need four. The paper's selection costs an instruction beside
// each multiply-add; the centre form has none: with c = upper + lower and r = upper - lower, formed once as a
// tile is loaded, lower' = (c W^T - r |W|^T) / 2 and upper' = (c W^T
// + r |W|^T) / 2. Weights and biases of a bound object are rows of one launch: blocks beyond the weights'
// have the biases. Operands of 16 inner values lie transposed in shared memory, two buffers, the next being
// fetched into registers meanwhile; columns of the upper eight are exchanged in pairs of eight, so that
// neither stores nor 16-byte loads collide.
//
// Launch: (column tiles, row tiles) blocks, columns first, so that neighbours share rows through L2; 64 to
// 256 threads with 4 x 4 or 8 x 4 terms of both sums each. Flops and bytes: bound_matmul_work. Limits: 65535
// row tiles.
#include "kernels/learning/sign_split_matmul.h"

#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

constexpr int kDepth = SplitTiling::kDepth;
constexpr int kQuads = kDepth / 4;  // float4s along the inner dimension of a tile

template <int kRowsOf, int kColumnsOf, int kThreadRowsOf>
struct Tile {
  static constexpr int kRows = kRowsOf, kColumns = kColumnsOf;
  static constexpr int kThreadRows = kThreadRowsOf, kThreadColumns = 4;  // of a thread's outputs
  static constexpr int kAcross = kColumns / kThreadColumns, kThreads = kAcross * (kRows / kThreadRows);
  static constexpr int kRowPitch = kRows + 4,
                       kColumnPitch = kColumns + 4;  // keeps the 16-byte alignment of four rows
  static constexpr int kRowLoads = kRows * kQuads / kThreads, kColumnLoads = kColumns * kQuads / kThreads;
  static constexpr int kBuffer = kDepth * (2 * kRowPitch + kColumnPitch);  // floats
  static_assert(kRows * kQuads % kThreads == 0 && kColumns * kQuads % kThreads == 0);
};

/// One pair of arrays [rows, inner] -> [rows, columns].
struct Pair {
  const float *lower, *upper;
  float *lower_out, *upper_out;
  const float* offset;  // [columns], or null
  long long rows;
};

struct SplitArguments {
  Pair pairs[2];     // weights, biases
  int first_blocks;  // row tiles of the first pair
  const float* matrix;
  int inner, columns;
  bool aligned;  // inner and columns are multiples of 4, and so are all addresses
};

struct CentreForm {
  RM_DEVICE static void convert(float4& a, float4& b) {
    const float4 l = a, u = b;
    a = make_float4(u.x + l.x, u.y + l.y, u.z + l.z, u.w + l.w);
    b = make_float4(u.x - l.x, u.y - l.y, u.z - l.z, u.w - l.w);
  }
  RM_DEVICE static void add(float& first, float& second, float a, float b, float w) {
    first += a * w;
    second += b * fabsf(w);
  }
  RM_DEVICE static void finish(float& first, float& second) {
    const float c = first, r = second;
    first = 0.5f * (c - r);
    second = 0.5f * (c + r);
  }
};

struct SelectForm {
  RM_DEVICE static void convert(float4&, float4&) {}
  RM_DEVICE static void add(float& first, float& second, float a, float b, float w) {
    first += w * (w > 0 ? a : b);
    second += w * (w > 0 ? b : a);
  }
  RM_DEVICE static void finish(float&, float&) {}
};

/// Four values of a row from inner place k; zeros beyond the end.
RM_DEVICE inline float4 load_quad(const float* row, bool exists, int k, int inner, bool aligned) {
  float4 quad = make_float4(0, 0, 0, 0);
  if (!exists || k >= inner) return quad;
  if (aligned) return *reinterpret_cast<const float4*>(row + k);
  quad.x = row[k];
  if (k + 1 < inner) quad.y = row[k + 1];
  if (k + 2 < inner) quad.z = row[k + 2];
  if (k + 3 < inner) quad.w = row[k + 3];
  return quad;
}

/// Where column `place` of inner value k lies in its row of shared memory.
RM_DEVICE inline int swizzled(int place, int k) {
  return place ^ (k & 8);
}

/// The quad's four inner values go to four rows.
RM_DEVICE inline void store_quad(float* tile, int pitch, int place, int k, const float4& quad) {
  const int column = swizzled(place, k);  // k is a multiple of 4: the same for all four
  tile[k * pitch + column] = quad.x;
  tile[(k + 1) * pitch + column] = quad.y;
  tile[(k + 2) * pitch + column] = quad.z;
  tile[(k + 3) * pitch + column] = quad.w;
}

template <int kCount>
RM_DEVICE inline void load_places(float (&values)[kCount], const float* row, int place, int k) {
#pragma unroll
  for (int i = 0; i < kCount; i += 4) {
    const float4 quad = *reinterpret_cast<const float4*>(row + swizzled(place + i, k));
    values[i] = quad.x;
    values[i + 1] = quad.y;
    values[i + 2] = quad.z;
    values[i + 3] = quad.w;
  }
}

/// What a thread fetches for the next tile.
template <class T, class Form>
struct Fetched {
  float4 first[T::kRowLoads], second[T::kRowLoads], matrix[T::kColumnLoads];

  RM_DEVICE void load(const SplitArguments& s, const Pair& pair, long long row, int column, int from) {
    const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
    for (int i = 0; i < T::kRowLoads; ++i) {
      const int quad = thread + i * T::kThreads, k = from + quad % kQuads * 4;
      const long long at = row + quad / kQuads;
      first[i] = load_quad(pair.lower + at * s.inner, at < pair.rows, k, s.inner, s.aligned);
      second[i] = load_quad(pair.upper + at * s.inner, at < pair.rows, k, s.inner, s.aligned);
    }
#pragma unroll
    for (int i = 0; i < T::kColumnLoads; ++i) {
      const int quad = thread + i * T::kThreads, k = from + quad % kQuads * 4, at = column + quad / kQuads;
      matrix[i] =
          load_quad(s.matrix + static_cast<long long>(at) * s.inner, at < s.columns, k, s.inner, s.aligned);
    }
  }

  RM_DEVICE void store(float* buffer) {
    const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
    for (int i = 0; i < T::kRowLoads; ++i) {
      const int quad = thread + i * T::kThreads, k = quad % kQuads * 4, place = quad / kQuads;
      Form::convert(first[i], second[i]);
      store_quad(buffer, T::kRowPitch, place, k, first[i]);
      store_quad(buffer + kDepth * T::kRowPitch, T::kRowPitch, place, k, second[i]);
    }
#pragma unroll
    for (int i = 0; i < T::kColumnLoads; ++i) {
      const int quad = thread + i * T::kThreads;
      store_quad(buffer + 2 * kDepth * T::kRowPitch, T::kColumnPitch, quad / kQuads, quad % kQuads * 4,
                 matrix[i]);
    }
  }
};

RM_DEVICE inline void write_row(float* row, const float (&values)[4], int column, int columns, bool aligned) {
  if (aligned) {
    if (column < columns)
      *reinterpret_cast<float4*>(row + column) = make_float4(values[0], values[1], values[2], values[3]);
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    if (column + j < columns) row[column + j] = values[j];
  }
}

template <class T, class Form>
__global__ void __launch_bounds__(T::kThreads) sign_split_kernel(const SplitArguments s) {
  RM_DYNAMIC_SHARED(float, shared);
  const bool biases = static_cast<int>(blockIdx.y) >= s.first_blocks;
  const Pair pair = s.pairs[biases ? 1 : 0];
  const long long row =
      static_cast<long long>(static_cast<int>(blockIdx.y) - (biases ? s.first_blocks : 0)) * T::kRows;
  const int column = static_cast<int>(blockIdx.x) * T::kColumns;
  const int down = static_cast<int>(threadIdx.x) / T::kAcross * T::kThreadRows,
            across = static_cast<int>(threadIdx.x) % T::kAcross * 4;

  float first[T::kThreadRows][4], second[T::kThreadRows][4];
#pragma unroll
  for (int i = 0; i < T::kThreadRows; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) first[i][j] = second[i][j] = 0;
  }

  Fetched<T, Form> next;
  next.load(s, pair, row, column, 0);
  next.store(shared);
  __syncthreads();
  const int steps = (s.inner + kDepth - 1) / kDepth;
  for (int step = 0; step < steps; ++step) {
    const bool more = step + 1 < steps;
    if (more) next.load(s, pair, row, column, (step + 1) * kDepth);
    const float* const buffer = shared + step % 2 * T::kBuffer;
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      float a[T::kThreadRows], b[T::kThreadRows], w[4];
      load_places(a, buffer + k * T::kRowPitch, down, k);
      load_places(b, buffer + (kDepth + k) * T::kRowPitch, down, k);
      load_places(w, buffer + 2 * kDepth * T::kRowPitch + k * T::kColumnPitch, across, k);
#pragma unroll
      for (int i = 0; i < T::kThreadRows; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) Form::add(first[i][j], second[i][j], a[i], b[i], w[j]);
      }
    }
    if (more) next.store(shared + (step + 1) % 2 * T::kBuffer);
    __syncthreads();  // the next tile is whole, and all are done with this one
  }

#pragma unroll
  for (int i = 0; i < T::kThreadRows; ++i) {
    const long long at = row + down + i;
    if (at >= pair.rows) break;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (column + across + j >= s.columns) break;
      Form::finish(first[i][j], second[i][j]);
      if (pair.offset != nullptr) {
        first[i][j] += pair.offset[column + across + j];
        second[i][j] += pair.offset[column + across + j];
      }
    }
    write_row(pair.lower_out + at * s.columns, first[i], column + across, s.columns, s.aligned);
    write_row(pair.upper_out + at * s.columns, second[i], column + across, s.columns, s.aligned);
  }
}

template <class Target, class T, class Form>
void launch_tile(Stream<Target>& stream, SplitArguments s) {
  const long long first = (s.pairs[0].rows + T::kRows - 1) / T::kRows,
                  second = (s.pairs[1].rows + T::kRows - 1) / T::kRows;
  if (first + second > 65'535) {
    throw std::invalid_argument("sign-split product: " + std::to_string(s.pairs[0].rows) +
                                " rows are more than 65535 tiles of " + std::to_string(T::kRows));
  }
  s.first_blocks = static_cast<int>(first);
  launch({.name = "sign_split_matmul",
          .grid = dim3(blocks_for(s.columns, T::kColumns), static_cast<unsigned>(first + second)),
          .block = T::kThreads,
          .shared_bytes = 2 * T::kBuffer * sizeof(float)},
         stream, sign_split_kernel<T, Form>, s);
}

template <class Target, class Form>
void launch_form(Stream<Target>& stream, const SplitArguments& s, SplitTile tile) {
  if (tile == SplitTile::automatic) tile = split_tile({s.pairs[0].rows, s.inner, s.columns});
  switch (tile) {
    case SplitTile::rows128:
      return launch_tile<Target, Tile<128, 64, 8>, Form>(stream, s);
    case SplitTile::rows64:
      return launch_tile<Target, Tile<64, 64, 4>, Form>(stream, s);
    default:
      return launch_tile<Target, Tile<32, 32, 4>, Form>(stream, s);
  }
}

template <class Target>
void launch_split(Stream<Target>& stream, SplitArguments s, SplitForm form, SplitTile tile) {
  std::uintptr_t bits = reinterpret_cast<std::uintptr_t>(s.matrix);
  for (const Pair& pair : s.pairs) {
    for (const float* pointer : {pair.lower, pair.upper, static_cast<const float*>(pair.lower_out),
                                 static_cast<const float*>(pair.upper_out)}) {
      bits |= reinterpret_cast<std::uintptr_t>(pointer);
    }
  }
  s.aligned = s.inner % 4 == 0 && s.columns % 4 == 0 && bits % 16 == 0;
  if (form == SplitForm::centre)
    launch_form<Target, CentreForm>(stream, s, tile);
  else
    launch_form<Target, SelectForm>(stream, s, tile);
}

void require(bool holds, const std::string& what) {
  if (!holds) throw std::invalid_argument("sign-split product: " + what);
}

template <class Span>
void require_size(const char* what, const Span& span, std::size_t size) {
  require(span.size() == size, std::string(what) + " has " + std::to_string(span.size()) + " values; " +
                                   std::to_string(size) + " follow from the shape");
}

template <class Target>
void require_matrix(DeviceSpan<Target, const float> matrix, DeviceSpan<Target, const float> offset, int inner,
                    int columns) {
  require(inner >= 1 && columns >= 1, std::to_string(columns) + " columns of " + std::to_string(inner) +
                                          " values: both must be at least 1");
  require_size("the matrix", matrix, static_cast<std::size_t>(inner) * static_cast<std::size_t>(columns));
  if (!offset.empty()) require_size("the offset", offset, static_cast<std::size_t>(columns));
}

}  // namespace

template <class Target>
void bound_matmul(Stream<Target>& stream, const BoundShape& shape, int columns,
                  const BoundSpans<Target, const float>& in, DeviceSpan<Target, const float> matrix,
                  DeviceSpan<Target, const float> offset, const BoundSpans<Target, float>& out,
                  SplitForm form, SplitTile tile) {
  require_matrix(matrix, offset, shape.channels, columns);
  const BoundShape after = shape.with_channels(columns);
  require_size("the lower weight", in.lower_weight, shape.weights());
  require_size("the upper weight", in.upper_weight, shape.weights());
  require_size("the lower bias", in.lower_bias, shape.biases());
  require_size("the upper bias", in.upper_bias, shape.biases());
  require_size("the lower weight of the output", out.lower_weight, after.weights());
  require_size("the upper weight of the output", out.upper_weight, after.weights());
  require_size("the lower bias of the output", out.lower_bias, after.biases());
  require_size("the upper bias of the output", out.upper_bias, after.biases());
  const long long rows = static_cast<long long>(shape.rows) * shape.inputs;
  SplitArguments s{};
  s.pairs[0] = Pair{in.lower_weight.data(),
                    in.upper_weight.data(),
                    out.lower_weight.data(),
                    out.upper_weight.data(),
                    nullptr,
                    rows};
  s.pairs[1] = Pair{in.lower_bias.data(),
                    in.upper_bias.data(),
                    out.lower_bias.data(),
                    out.upper_bias.data(),
                    offset.empty() ? nullptr : offset.data(),
                    shape.rows};
  s.matrix = matrix.data();
  s.inner = shape.channels;
  s.columns = columns;
  launch_split(stream, s, form, tile);
}

template <class Target>
void interval_matmul(Stream<Target>& stream, const SplitShape& shape, DeviceSpan<Target, const float> lower,
                     DeviceSpan<Target, const float> upper, DeviceSpan<Target, const float> matrix,
                     DeviceSpan<Target, const float> offset, DeviceSpan<Target, float> lower_out,
                     DeviceSpan<Target, float> upper_out, SplitForm form, SplitTile tile) {
  require_matrix(matrix, offset, shape.inner, shape.columns);
  require(shape.rows >= 1, "no rows");
  const auto in_size = static_cast<std::size_t>(shape.rows) * static_cast<std::size_t>(shape.inner);
  const auto out_size = static_cast<std::size_t>(shape.rows) * static_cast<std::size_t>(shape.columns);
  require_size("the lower end", lower, in_size);
  require_size("the upper end", upper, in_size);
  require_size("the lower end of the output", lower_out, out_size);
  require_size("the upper end of the output", upper_out, out_size);
  SplitArguments s{};
  s.pairs[0] = Pair{lower.data(),
                    upper.data(),
                    lower_out.data(),
                    upper_out.data(),
                    offset.empty() ? nullptr : offset.data(),
                    shape.rows};
  s.matrix = matrix.data();
  s.inner = shape.inner;
  s.columns = shape.columns;
  launch_split(stream, s, form, tile);
}

template void bound_matmul(Stream<CompiledTarget>&, const BoundShape&, int,
                           const BoundSpans<CompiledTarget, const float>&,
                           DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, const float>,
                           const BoundSpans<CompiledTarget, float>&, SplitForm, SplitTile);
template void interval_matmul(Stream<CompiledTarget>&, const SplitShape&,
                              DeviceSpan<CompiledTarget, const float>,
                              DeviceSpan<CompiledTarget, const float>,
                              DeviceSpan<CompiledTarget, const float>,
                              DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>,
                              DeviceSpan<CompiledTarget, float>, SplitForm, SplitTile);

}  // namespace remeasure::kernels
