# nibble_program(<target>): the warnings that our code is held to, and nibble itself. Headers of dependencies are system
# headers, ours are not.
add_library(nibble_warnings INTERFACE)
target_compile_options(nibble_warnings INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)

function(nibble_program target)
  target_link_libraries(${target} PRIVATE nibble::nibble nibble_warnings)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  # What GCC warns of only once it has optimised is often about code of Eigen or the standard library, and another in
  # every version: shown, but not an error.
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    foreach(flow array-bounds free-nonheap-object maybe-uninitialized mismatched-new-delete stringop-overflow)
      target_compile_options(${target} PRIVATE -Wno-error=${flow})
    endforeach()
  endif()
endfunction()
