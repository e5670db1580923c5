# nibble_program(<target>): the warnings that our code is held to, and nibble itself. Headers of dependencies are system
# headers, ours are not.
add_library(nibble_warnings INTERFACE)
target_compile_options(nibble_warnings INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)

function(nibble_program target)
  target_link_libraries(${target} PRIVATE nibble::nibble nibble_warnings)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()
