// SPDX-License-Identifier: Apache-2.0
//
// CUDA's modified Bessel functions of order 0 and 1 on the host, for kernel sources; under nvcc they are
// built in. Apart from cuda_math.h, since few kernels need them. Like CUDA's they overflow to infinity (above
// 713), where libstdc++ may throw. Compiled once, outside of the kernels, so that a call counts as one
// function of the library.
#pragma once

#ifndef __CUDACC__

double cyl_bessel_i0(double x);
double cyl_bessel_i1(double x);

#endif
