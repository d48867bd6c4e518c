# SPDX-License-Identifier: Apache-2.0
# Run at build time: writes OUTPUT only if its content changes.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND git -C ${SOURCE} rev-parse HEAD OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
  ERROR_QUIET RESULT_VARIABLE failed)
set(dirty false)
if(failed)
  set(commit "unknown")
else()
  execute_process(COMMAND git -C ${SOURCE} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    set(dirty true)
  endif()
endif()
if(NOT CUDA)
  set(CUDA_VERSION "")
endif()
string(STRIP "${FLAGS}" FLAGS)
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT
"// Generated at build time.
#pragma once
#define REMEASURE_VERSION \"@VERSION@\"
#define REMEASURE_GIT_COMMIT \"@commit@\"
#define REMEASURE_GIT_DIRTY @dirty@
#define REMEASURE_COMPILER \"@COMPILER@\"
#define REMEASURE_FLAGS \"@FLAGS@\"
#define REMEASURE_BUILD_TYPE \"@BUILD_TYPE@\"
#define REMEASURE_CUDA_VERSION \"@CUDA_VERSION@\"
#define REMEASURE_SOURCE_DIR_TEXT \"@SOURCE@\"
")
