# The package in bindings/node: exchanges, kills, the structs of the header, the types. Without
# Node.js, or without koffi in .tools, the test is skipped.

set(node_modules ${PROJECT_SOURCE_DIR}/.tools/node/node_modules)
datablock_test(node.test LABELS conformance TIMEOUT 300 COST 30
  ENVIRONMENT NODE_PATH=${node_modules} DATABLOCK_LIBRARY=${PROJECT_BINARY_DIR}/libdatablock.so
  COMMAND sh -c [[command -v node >/dev/null || { echo "NOT SHOWN: there is no node"; exit 77; }
    test -d "$NODE_PATH/koffi" || { echo "NOT SHOWN: there is no koffi"; exit 77; }
    cd bindings/node && exec node --test test/*.test.js]])
set_tests_properties(node.test PROPERTIES SKIP_RETURN_CODE 77)
