package docs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The package's names and the public callables of its classes, with their parameters.
const inspect = `
import enum, inspect, json
import datablock_ctypes as package

names, members, parameters = [], [], {}

def look(name, what):
    try:
        parameters[name] = list(inspect.signature(what).parameters)
    except (TypeError, ValueError):
        pass

for name in package.__all__:
    what = getattr(package, name)
    names.append(name)
    look(name, what)
    if not inspect.isclass(what):
        continue
    for member in dir(what):
        if member.startswith("_"):
            continue
        full = name + "." + member
        found = inspect.getattr_static(what, member)
        ours = any(member in vars(c) for c in what.__mro__ if c.__module__.startswith("datablock_ctypes"))
        callable = isinstance(found, (property, classmethod, staticmethod)) or inspect.isfunction(found)
        if ours and callable and not issubclass(what, (BaseException, enum.Enum)):
            names.append(full)
        else:
            members.append(full)
        look(full, getattr(what, member, None))
    fields = [field for c in what.__mro__ for field in vars(c).get("__annotations__", {})]
    members += [name + "." + field for field in fields if not field.startswith("_")]
print(json.dumps({"names": names, "members": members, "parameters": parameters}))
`

type python struct {
	Names, Members []string
	Parameters     map[string][]string
}

// imported returns the Python package as an importing program sees it.
func imported(t *testing.T) python {
	t.Helper()
	interpreter := filepath.Join(root(t), ".venv/bin/python")
	if _, err := os.Stat(interpreter); err != nil {
		interpreter = "python3"
	}
	cmd := exec.Command(interpreter, "-c", inspect)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(root(t), "python"))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	var p python
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p
}
