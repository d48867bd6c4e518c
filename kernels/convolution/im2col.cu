// SPDX-License-Identifier: Apache-2.0
//
// Patches of a picture to memory, and their sum back (Chellapilla, Puri, Simard, "High Performance
// Convolutional Neural Networks for Document Processing", 2006).
//
//   patches[g, p, t, c] = input[gather(p, t), g, c];        input[q, g, c] = sum of patches[g, p, t, c]
//                                                                            over gather(p, t) = q
//
// Copies of 16 bytes where the group's channels allow it: neighbouring threads write neighbouring chunks.
// Launch: a thread for each chunk, or for each input element on the way back. Bytes: the picture once, the
// patches once: kernel^2 / stride^2 times the picture. No flops, or one for each element of the patches.
#include "kernels/convolution/im2col.h"

#include "kernels/convolution/gemm_plan.h"
#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

/// Word: what a thread copies; `words`: of them in a group's channels.
template <class Word>
__global__ void im2col_kernel(ConvolutionShape shape, int words, long long all,
                              const Word* __restrict__ input, Word* __restrict__ patches) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= all) return;
  const int word = static_cast<int>(i % words);
  long long rest = i / words;
  const int tap = static_cast<int>(rest % shape.taps());
  rest /= shape.taps();
  const auto pixels = static_cast<long long>(shape.out_pixels());
  const int group = static_cast<int>(rest / pixels), pixel = static_cast<int>(rest % pixels);
  const int line = pixel / shape.out_width(), image = line / shape.out_height();
  const int row = line % shape.out_height() * shape.stride - shape.pad + tap / shape.kernel,
            column = pixel % shape.out_width() * shape.stride - shape.pad + tap % shape.kernel;
  Word value{};
  if (row >= 0 && row < shape.height && column >= 0 && column < shape.width) {
    const long long from = (static_cast<long long>(image) * shape.height + row) * shape.width + column;
    value = input[(from * shape.groups + group) * words + word];
  }
  patches[i] = value;
}

template <class Element>
__global__ void col2im_kernel(ConvolutionShape shape, int elements, const Element* __restrict__ patches,
                              Element* __restrict__ input) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= elements) return;
  const int in = shape.group_in();
  const int channel = i % in, group = i / in % shape.groups;
  const int pixel = i / shape.in_channels, line = pixel / shape.width, image = line / shape.height;
  const int x = pixel % shape.width, y = line % shape.height;
  const auto pixels = static_cast<long long>(shape.out_pixels());
  float sum = 0;
  for (int tap_y = 0; tap_y < shape.kernel; ++tap_y) {
    const int up = y + shape.pad - tap_y;
    if (up < 0 || up % shape.stride != 0 || up / shape.stride >= shape.out_height()) continue;
    for (int tap_x = 0; tap_x < shape.kernel; ++tap_x) {
      const int left = x + shape.pad - tap_x;
      if (left < 0 || left % shape.stride != 0 || left / shape.stride >= shape.out_width()) continue;
      const long long out =
          (static_cast<long long>(image) * shape.out_height() + up / shape.stride) * shape.out_width() +
          left / shape.stride;
      sum += static_cast<float>(
          patches[((group * pixels + out) * shape.taps() + tap_y * shape.kernel + tap_x) * in + channel]);
    }
  }
  input[i] = static_cast<Element>(sum);
}

}  // namespace

template <class Target, class Element>
void im2col(Stream<Target>& stream, const ConvolutionShape& shape, DeviceSpan<Target, const Element> input,
            DeviceSpan<Target, Element> patches) {
  check_convolution("im2col", shape);
  check_sizes("im2col", {{"input", input.size(), shape.input(Layout::nhwc).size()},
                         {"patches", patches.size(), patch_elements(shape)}});
  const auto run = [&]<class Word>(const Word* from, Word* to) {
    const int words = shape.group_in() * static_cast<int>(sizeof(Element)) / static_cast<int>(sizeof(Word));
    const auto all = static_cast<long long>(patches.size_bytes() / sizeof(Word));
    launch({.name = "im2col", .grid = blocks_for(all, 256), .block = 256}, stream, im2col_kernel<Word>, shape,
           words, all, from, to);
  };
  if (shape.group_in() * sizeof(Element) % sizeof(uint4) == 0)
    run(reinterpret_cast<const uint4*>(input.data()), reinterpret_cast<uint4*>(patches.data()));
  else
    run(input.data(), patches.data());
}

template <class Target, class Element>
void col2im(Stream<Target>& stream, const ConvolutionShape& shape, DeviceSpan<Target, const Element> patches,
            DeviceSpan<Target, Element> input) {
  check_convolution("col2im", shape);
  check_sizes("col2im", {{"patches", patches.size(), patch_elements(shape)},
                         {"input", input.size(), shape.input(Layout::nhwc).size()}});
  const int elements = static_cast<int>(input.size());
  launch({.name = "col2im", .grid = blocks_for(elements, 256), .block = 256}, stream, col2im_kernel<Element>,
         shape, elements, patches.data(), input.data());
}

#define RM_INSTANTIATE(Element)                                                                         \
  template void im2col(Stream<CompiledTarget>&, const ConvolutionShape&,                                \
                       DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>); \
  template void col2im(Stream<CompiledTarget>&, const ConvolutionShape&,                                \
                       DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(bfloat16);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
