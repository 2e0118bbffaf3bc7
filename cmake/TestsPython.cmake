# The Python package: its tests, its types, its style.

set(python_package ${PROJECT_SOURCE_DIR}/python)
set(python_settings ${python_package}/pyproject.toml)
set(python_examples
  examples/python/transactions/transactions.py examples/python/next_slot/next_slot.py
  examples/python/batch_analysis/batch_analysis.py
  examples/python/recovery_daemon/recovery_daemon.py examples/python/prometheus_export/prometheus_export.py)
set(python_checked python examples/demo examples/python)

# The tests with the mark `measured` assert how long a call or an interrupt takes, or the share of
# the processor that it uses. In parallel with other tests they would measure the load.
datablock_test(python.measured SERIAL TIMEOUT 600
  COMMAND ${venv_python} -m pytest -q -m measured ${python_package})
datablock_test(python.pytest COST 190 TIMEOUT 600
  COMMAND ${venv_python} -m pytest -q -m "not measured" ${python_package}
    --ignore=${python_package}/tests/test_interrupted.py)
datablock_test(python.leaks ONLY_SOAK LABELS process TIMEOUT 600
  COMMAND ${venv_python} -m pytest -q ${python_package}/tests/test_leaks.py)
# Interrupts at every bytecode take long, and are valid on a busy machine as well. `make soak`:
# 10,000 at random in each call.
datablock_test(python.interrupted LABELS process SOAK COST 110 TIMEOUT 600
  COMMAND ${venv_python} -m pytest -q ${python_package}/tests/test_interrupted.py)
set(test_tier lint)
datablock_test(python.mypy
  COMMAND ${venv_python} -m mypy --config-file ${python_settings} --cache-dir ${PROJECT_BINARY_DIR}/mypy
  ${python_package}/datablock_ctypes ${PROJECT_SOURCE_DIR}/examples/demo/checker.py ${python_examples})
# The same as on Windows. _memory.py imports _mapping_windows.py there, and not the other two.
datablock_test(python.mypy.windows
  COMMAND ${venv_python} -m mypy --config-file ${python_settings} --cache-dir ${PROJECT_BINARY_DIR}/mypy-windows
  --platform win32 --exclude "/_(maps|mapping)[.]py$" ${python_package}/datablock_ctypes)
datablock_test(python.ruff
  COMMAND ${venv_python} -m ruff check --no-cache --config ${python_settings} ${python_checked})
datablock_test(tests.ruff COMMAND ${venv_python} -m ruff check --isolated --no-cache --select=E4,E7,E9,F,B tests)
datablock_test(python.format
  COMMAND ${venv_python} -m ruff format --check --no-cache --config ${python_settings} ${python_checked})
