# Processes that share a block: tests/go/process. One build of the tests, and one entry for each
# group of tests, so that a group that waits runs beside others. TestBlockedParticipants measures
# the share of the processor that sleeping processes use, and runs alone.

set(process_directory ${PROJECT_BINARY_DIR}/tests/go)
set(process_tests ${process_directory}/process.test)
file(MAKE_DIRECTORY ${process_directory})

# ctest builds them, so that a run never has the tests of yesterday.
add_test(NAME go.process.build
  COMMAND sh -c "\"$1\" test -c -buildvcs=false -vet=off '-ldflags=-s -w' -o \"$2/process.test\" ./tests/go/process &&
    \"$1\" build -buildvcs=false '-ldflags=-s -w' -tags=crashpoints -o \"$2/worker\" ./tests/go/worker"
    sh ${GO} ${process_directory}
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(go.process.build PROPERTIES
  LABELS process TIMEOUT 300 COST 1100 FIXTURES_SETUP process_tests ENVIRONMENT "${test_environment}")

# process_test(name regex [arguments of datablock_test])
function(process_test name regex)
  list(APPEND process_names ${name})
  set(process_names ${process_names} PARENT_SCOPE)
  list(APPEND process_regexes ${regex})
  set(process_regexes ${process_regexes} PARENT_SCOPE)
  process_entry(${name} -test.run "${regex}" ${ARGN})
endfunction()

# process_entry(name flag regex [arguments of datablock_test])
function(process_entry name flag regex)
  datablock_test(go.process.${name} SOAK LABELS process TIMEOUT 900 ${ARGN}
    ENVIRONMENT DATABLOCK_GO_WORKER=${process_directory}/worker
    COMMAND ${CMAKE_COMMAND} -E chdir tests/go/process ${process_tests} -test.timeout=110m ${flag} "${regex}")
  foreach(test go.process.${name} soak.go.process.${name})
    set_tests_properties(${test} PROPERTIES FIXTURES_REQUIRED "shared_memory;process_tests")
  endforeach()
endfunction()

process_test(kill_points "^TestKilledAtEveryPoint$" PROCESSORS 2 COST 200)
process_test(stop_points "^TestStoppedAtEveryPoint$" PROCESSORS 2 COST 100)
process_test(exchange "^TestExchange|^TestThreeDeliveries|^TestFastProducer|^TestTagWrap$" PROCESSORS 2 COST 250)
process_test(storm "^TestStorm$" COST 20)
process_test(kill "^TestHeldMessage|^TestConsumerKilled|^TestProducerKilled|^TestThreeLanguages" COST 60)
process_test(errors "^TestError" COST 40)
process_test(idle "^TestBlockedParticipantsUseNoProcessor$" SERIAL)
# All other tests, new ones as well.
list(JOIN process_regexes "|" process_all)
process_entry(others -test.skip "${process_all}" COST 300)
