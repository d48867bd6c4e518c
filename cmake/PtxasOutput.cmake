# SPDX-License-Identifier: Apache-2.0
# Run at build time: gathers what keep_ptxas.sh kept beside the objects listed in OBJECTS into OUTPUT, a C++ string.
cmake_minimum_required(VERSION 3.25)
set(text "")
if(OBJECTS)
  file(STRINGS ${OBJECTS} objects)
  list(FILTER objects INCLUDE REGEX "\\.cu\\.o(bj)?$")
  list(FILTER objects EXCLUDE REGEX "/testing/")
  foreach(object IN LISTS objects)
    if(NOT EXISTS ${object}.ptxas)
      message(FATAL_ERROR "${object}.ptxas is missing: the kernels' figures were lost. Delete the object and build again.")
    endif()
    file(READ ${object}.ptxas said)
    string(REGEX REPLACE "^.*\\.dir/(.*)\\.o(bj)?$" "\\1" source ${object})
    string(REPLACE "/./" "/" source "/${source}")
    string(APPEND text "source kernels${source}\n${said}")
  endforeach()
endif()
file(WRITE ${OUTPUT}.partial "#include \"kernels/ptxas_output.h\"
namespace remeasure::kernels {
const std::string_view ptxas_output = R\"_ptxas_(${text})_ptxas_\";
}  // namespace remeasure::kernels
")
file(RENAME ${OUTPUT}.partial ${OUTPUT})
