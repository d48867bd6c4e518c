# SPDX-License-Identifier: Apache-2.0
# Flags and helpers that every room uses.
add_library(remeasure_options INTERFACE)
target_include_directories(remeasure_options INTERFACE ${PROJECT_SOURCE_DIR})
target_include_directories(remeasure_options SYSTEM INTERFACE ${PROJECT_SOURCE_DIR}/cmake/include)
target_compile_options(remeasure_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-march=${REMEASURE_MARCH} -Wall -Wextra -Wconversion -Wshadow -g1>
  $<$<AND:$<BOOL:${REMEASURE_WERROR}>,$<COMPILE_LANGUAGE:CXX>>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these inside Eigen, fmt and std::string (its bug 105651), where they are wrong.
  target_compile_options(remeasure_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict -Wno-psabi>)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    # A reference into what a temporary span looks at doesn't dangle; GCC 13 and 14 take the span for its elements' owner.
    target_compile_options(remeasure_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-dangling-reference>)
  endif()
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # -Wconversion without signs, as GCC's is for C++. `#pragma unroll` is for nvcc: what waits for other threads isn't
  # unrolled here.
  target_compile_options(remeasure_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-sign-conversion -Wno-pass-failed>)
endif()
if(REMEASURE_SANITIZE)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # UBSan makes GCC 12 see an uninitialised value in the AVX-512 intrinsics' own headers (its bug 105593).
    target_compile_options(remeasure_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-uninitialized>)
  endif()
  target_compile_options(remeasure_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${REMEASURE_SANITIZE} -fno-omit-frame-pointer>)
  if(REMEASURE_SANITIZE MATCHES "undefined")
    # A test at each access, which doubles the time of compiling Eigen: AddressSanitizer ends an access through null too, and
    # the checked engine finds kernels' misaligned ones.
    target_compile_options(remeasure_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=null,alignment>)
  endif()
  target_link_options(remeasure_options INTERFACE -fsanitize=${REMEASURE_SANITIZE})
endif()
if(REMEASURE_HAS_CUDA)
  target_compile_definitions(remeasure_options INTERFACE REMEASURE_HAS_CUDA)
endif()
target_link_libraries(remeasure_options INTERFACE Threads::Threads)

# remeasure_sources(<variable> <folder of this room> [suffix]): the room's sources without its tests.
function(remeasure_sources variable)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "EXCLUDE" "PATTERNS")
  set(found "")
  foreach(pattern IN LISTS arg_PATTERNS)
    file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${pattern})
    list(APPEND found ${files})
  endforeach()
  list(FILTER found EXCLUDE REGEX "_test\\.cpp$")
  if(arg_EXCLUDE)
    list(FILTER found EXCLUDE REGEX "${arg_EXCLUDE}")
  endif()
  set(${variable} ${found} PARENT_SCOPE)
endfunction()

# remeasure_test(<program> LIBRARIES ... PATTERNS ...): one test program of a room, a ctest per test case, its labels
# from the tags [cpu], [simt], [gpu], [slow]. A case that says "skipped: <reason>" counts as skipped.
if(REMEASURE_TESTS AND NOT TARGET remeasure_catch)
  add_library(remeasure_catch STATIC ${PROJECT_SOURCE_DIR}/cmake/testing/catch_main.cpp)
  target_include_directories(remeasure_catch SYSTEM PUBLIC ${PROJECT_SOURCE_DIR}/cmake/include)
  target_link_libraries(remeasure_catch PUBLIC Catch2::Catch2)
endif()
function(remeasure_test program)
  if(NOT REMEASURE_TESTS)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "PATTERNS;LIBRARIES;DEFINITIONS;DEPENDS;INSTRUMENTED")
  set(files "")
  foreach(pattern IN LISTS arg_PATTERNS)
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${pattern})
    list(APPEND files ${found})
  endforeach()
  list(REMOVE_DUPLICATES files)
  if(NOT files)
    return()
  endif()
  add_executable(${program} ${files})
  target_link_libraries(${program} PRIVATE ${arg_LIBRARIES} remeasure_catch remeasure_options)
  target_compile_definitions(${program} PRIVATE ${arg_DEFINITIONS} REMEASURE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  # Tests wait more for the compiler than for themselves; bits that one computes are those of its source.
  target_compile_options(${program} PRIVATE -O1 -ffp-contract=off)
  if(arg_INSTRUMENTED)
    set(kernel_files ${files})
    list(FILTER kernel_files INCLUDE REGEX "${arg_INSTRUMENTED}")
    set_source_files_properties(${kernel_files} PROPERTIES COMPILE_OPTIONS "${REMEASURE_HOOK_FLAGS}")
  endif()
  if(arg_DEPENDS)
    add_dependencies(${program} ${arg_DEPENDS})
  endif()
  foreach(label cpu simt gpu)
    set(lock "")
    if(label STREQUAL "gpu")
      set(lock RESOURCE_LOCK gpu)
    endif()
    catch_discover_tests(${program} TEST_SPEC "[${label}]" TEST_LIST ${program}_${label}
      WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
      PROPERTIES LABELS ${label} TIMEOUT 600 SKIP_REGULAR_EXPRESSION "skipped: " ${lock})
  endforeach()
endfunction()

# remeasure_link_first(<program> <static library>): where an inline function is in the library and elsewhere too, the
# program takes the library's. With the checked kernels it is the one whose accesses and operations are seen.
function(remeasure_link_first program library)
  target_link_options(${program} PRIVATE
    "LINKER:--whole-archive,$<TARGET_FILE:${library}>,--no-whole-archive")
endfunction()

# remeasure_embed(<target> <file> <namespace> <symbol>): the file's text as `extern const std::string_view`.
function(remeasure_embed target file namespace symbol)
  set(output ${PROJECT_BINARY_DIR}/generated/embed/${symbol}.cpp)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  string(CONCAT content "#include <string_view>\n"
    "namespace ${namespace} {\nextern const std::string_view ${symbol};\n"
    "const std::string_view ${symbol} = R\"_embed_(${text})_embed_\";\n}\n")
  file(CONFIGURE OUTPUT ${output} CONTENT "${content}" @ONLY)
  target_sources(${target} PRIVATE ${output})
endfunction()
