// SPDX-License-Identifier: Apache-2.0
#pragma once

#ifdef __CUDACC__
#define RM_HOST_DEVICE __host__ __device__
#define RM_DEVICE __device__
#else
#define RM_HOST_DEVICE
#define RM_DEVICE
#endif
