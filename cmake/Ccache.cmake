# SPDX-License-Identifier: Apache-2.0
# Compilers run through ccache where it is installed.
find_program(REMEASURE_CCACHE ccache)
if(REMEASURE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${REMEASURE_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${REMEASURE_CCACHE})
endif()
