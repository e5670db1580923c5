# Configures, builds and runs the program in SOURCE, which gets nibble as MODE says: installed, subdirectory, fetched.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(result)
    message(FATAL_ERROR "failed: ${ARGV}")
  endif()
endfunction()

file(REMOVE_RECURSE ${OUT})
if(MODE STREQUAL installed)
  run(${CMAKE_COMMAND} --install ${NIBBLE_BUILD} --prefix ${OUT}/prefix)
endif()
run(${CMAKE_COMMAND} -G ${GENERATOR} -S ${SOURCE} -B ${OUT}/build -DMODE=${MODE} -DNIBBLE=${NIBBLE}
    -DCMAKE_PREFIX_PATH=${OUT}/prefix -DCMAKE_CXX_COMPILER=${COMPILER})
run(${CMAKE_COMMAND} --build ${OUT}/build)
run(${OUT}/build/consumer)
