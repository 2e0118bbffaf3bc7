# The crate in bindings/rust: its tests, its style, and the worker of tests/go/process. Without a
# toolchain, or with one that is too old, the worker is not built, and the tests are skipped.

find_program(CARGO cargo)
file(STRINGS ${PROJECT_SOURCE_DIR}/bindings/rust/Cargo.toml rust_needed REGEX "^rust-version = ")
string(REGEX MATCH "[0-9.]+" rust_needed "${rust_needed}")
set(rust_missing "")
if(CARGO)
  execute_process(COMMAND ${CARGO} --version OUTPUT_VARIABLE rust_version)
  string(REGEX MATCH "[0-9.]+" rust_version "${rust_version}")
  if(rust_version VERSION_LESS rust_needed)
    set(rust_missing "cargo ${rust_version} is older than ${rust_needed}")
  endif()
else()
  set(rust_missing "there is no cargo")
endif()
set(rust_source ${PROJECT_SOURCE_DIR}/bindings/rust)
set(rust_build ${PROJECT_BINARY_DIR}/rust)
# Nothing is downloaded: the crate has no dependencies. RUSTC_BOOTSTRAP makes rustdoc compare the
# error codes of the examples that must not compile.
set(rust_environment
  DATABLOCK_LIB_DIR=${PROJECT_BINARY_DIR}/test CARGO_TARGET_DIR=${rust_build}
  LD_LIBRARY_PATH=${PROJECT_BINARY_DIR}/test)

# rust_test(NAME [NEED program] [ENVIRONMENT ...] [TIMEOUT s] [COST s] LABELS tier ARGUMENTS ...)
function(rust_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "NEED;TIMEOUT;COST" "LABELS;ENVIRONMENT;ARGUMENTS")
  if(NOT arg_NEED)
    set(arg_NEED cargo)
  endif()
  datablock_test(rust.${name} LABELS ${arg_LABELS} TIMEOUT ${arg_TIMEOUT} COST ${arg_COST}
    ENVIRONMENT ${rust_environment} ${arg_ENVIRONMENT}
    COMMAND sh -c [[test "$1" = lacks: || { echo "NOT SHOWN: ${1#lacks:}"; exit 77; }
      command -v "$2" >/dev/null || { echo "NOT SHOWN: there is no $2"; exit 77; }
      shift 2 && cd bindings/rust && exec cargo "$@"]] sh "lacks:${rust_missing}" ${arg_NEED} ${arg_ARGUMENTS})
  # cargo locks its folder.
  set_tests_properties(rust.${name} PROPERTIES SKIP_RETURN_CODE 77 RESOURCE_LOCK cargo)
endfunction()

if(NOT rust_missing)
  set(rust_cargo ${CMAKE_COMMAND} -E env --unset=MAKEFLAGS --unset=MFLAGS ${rust_environment}
    ${CARGO} --offline --locked)
  add_custom_target(rust_worker
    COMMAND ${rust_cargo} build --quiet --release --package datablock-worker
    COMMAND ${rust_cargo} test --quiet --no-run
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/tests/rust
    COMMAND sh -c "${replace_if_different}" sh
      ${rust_build}/release/worker ${PROJECT_BINARY_DIR}/tests/rust/worker
    WORKING_DIRECTORY ${rust_source}
    COMMENT "Rust: worker"
    VERBATIM)
  add_dependencies(rust_worker datablock_crashpoints_go)
endif()

rust_test(test LABELS conformance TIMEOUT 300 COST 40 ARGUMENTS test --offline --locked --quiet --lib --bins --tests)
rust_test(examples LABELS docs TIMEOUT 300 COST 30 ENVIRONMENT RUSTC_BOOTSTRAP=1
  ARGUMENTS test --offline --locked --quiet --doc)
rust_test(format NEED rustfmt LABELS lint TIMEOUT 120 COST 1 ARGUMENTS fmt --check)
rust_test(clippy NEED cargo-clippy LABELS lint TIMEOUT 300 COST 10
  ARGUMENTS clippy --offline --locked --quiet --all-targets -- -D warnings)
rust_test(doc LABELS lint TIMEOUT 300 COST 10 ENVIRONMENT RUSTDOCFLAGS=-D\ warnings
  ARGUMENTS doc --offline --locked --quiet --no-deps)
rust_test(package LABELS abi TIMEOUT 300 COST 10
  ARGUMENTS package --offline --locked --quiet --package datablock --allow-dirty)
