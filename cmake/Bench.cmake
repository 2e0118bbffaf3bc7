# The benchmark: its programs, in build/bench, and a test that measures everything once, so that the
# benchmark keeps working. `make bench` runs the benchmark.

set(bench_directory ${PROJECT_BINARY_DIR}/bench)

# bench_program(name source [library] [definition])
function(bench_program name source)
  add_executable(bench_${name} ${PROJECT_SOURCE_DIR}/bench/${source})
  set_target_properties(bench_${name} PROPERTIES
    C_STANDARD 11 C_EXTENSIONS ON
    OUTPUT_NAME ${name}
    RUNTIME_OUTPUT_DIRECTORY ${bench_directory}
    BUILD_RPATH ${PROJECT_BINARY_DIR})
  target_compile_options(bench_${name} PRIVATE ${strict_flags})
  target_link_libraries(bench_${name} PRIVATE ${ARGV2})
  target_compile_definitions(bench_${name} PRIVATE ${ARGV3})
  list(APPEND bench_programs bench_${name})
  set(bench_programs ${bench_programs} PARENT_SCOPE)
endfunction()

bench_program(limits limits.c)
bench_program(worker-exported worker.c datablock)
if(EXISTS ${PROJECT_SOURCE_DIR}/include/datablock_inline.h)
  bench_program(worker-inline worker.c datablock BENCH_INLINE)
endif()
datablock_go_program(bench_worker-go ${bench_directory}/worker-go . ./bench/go)

# The peers without dependencies. bench/peers/setup.sh builds the others.
function(bench_peer name)
  bench_program(peer-${name} peers/${name}/${name}.c ${ARGN})
  set_target_properties(bench_peer-${name} PROPERTIES
    OUTPUT_NAME peer RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/peers/${name})
  set(bench_programs ${bench_programs} PARENT_SCOPE)
endfunction()

bench_peer(ring)
bench_peer(unix)
if(EXISTS ${PROJECT_SOURCE_DIR}/include/datablock_inline.h)
  bench_peer(datablock datablock BENCH_INLINE)
else()
  bench_peer(datablock datablock)
endif()

add_custom_target(${target_prefix}bench)
add_dependencies(${target_prefix}bench ${bench_programs} bench_worker-go)

set(bench_sources ${PROJECT_SOURCE_DIR}/bench)
datablock_test(bench LABELS perf COST 12 TIMEOUT 300 COMMAND ${venv_python} bench/run.py --smoke)
datablock_test(bench.peers LABELS perf COST 20 TIMEOUT 300 COMMAND ${venv_python} bench/run_peers.py --smoke)
datablock_test(bench.peers.plan LABELS unit COMMAND ${venv_python} -m pytest -q -p no:cacheprovider bench/peers)
set(test_tier lint)
set(mypy ${venv_python} -m mypy --config-file ${python_settings} --cache-dir ${PROJECT_BINARY_DIR}/mypy)
datablock_test(bench.mypy ENVIRONMENT MYPYPATH=${python_package}
  COMMAND ${mypy} ${bench_sources}/run.py ${bench_sources}/worker.py ${bench_sources}/run_peers.py)
datablock_test(bench.peers.mypy ENVIRONMENT MYPYPATH=${python_package}:${bench_sources}/peers/python
  COMMAND ${mypy} ${bench_sources}/peers/python/worker.py)
datablock_test(bench.ruff COMMAND ${venv_python} -m ruff check --no-cache --config ${python_settings} bench)
datablock_test(bench.format COMMAND ${venv_python} -m ruff format --check --no-cache --config ${python_settings} bench)
