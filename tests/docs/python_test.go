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
import dataclasses, enum, inspect, json
import datablock_ctypes as package
from datablock_ctypes import aio

names, members, parameters, functions = [], [], {}, []
SPECIAL = ("__init__", "__enter__", "__iter__", "__next__", "__getitem__", "__setitem__")

def look(name, what):
    try:
        parameters[name] = list(inspect.signature(what).parameters)
    except (TypeError, ValueError):
        pass

def describe(name, what, within, group=""):
    function = getattr(what, "__func__", getattr(what, "fget", what))
    if not inspect.isfunction(function) and not inspect.isclass(function):
        return
    declaration = f"{type(what).__name__} {name}{inspect.signature(function)}"
    heading = " ".join((package.__doc__ + within.__doc__).split())
    comment = " ".join((inspect.getdoc(what) or "").split())
    functions.append([name, declaration, comment, group, heading])

def describe_all(within):
    for name in within.__all__:
        what = getattr(within, name)
        if not inspect.isclass(what):
            describe(name, what, within)
        elif not issubclass(what, (BaseException, enum.Enum)):
            own = {m: f for c in reversed(what.__mro__) if c.__module__.startswith("datablock_ctypes")
                   for m, f in vars(c).items() if not m.startswith("_") or m in SPECIAL}
            for member, f in own.items():
                if member != "__init__":
                    group = inspect.getdoc(what)
                    if not member.startswith("_"):
                        group = group.split("Opening raises")[0]
                    describe(f"{name}.{member}", f, within, group)
                elif not dataclasses.is_dataclass(what) and {"name", "timeout"} & set(inspect.signature(f).parameters):
                    f.__doc__ = what.__doc__
                    describe(name, f, within)

describe_all(package)
describe_all(aio)
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
print(json.dumps({"names": names, "members": members, "parameters": parameters, "functions": functions}))
`

type python struct {
	Names, Members []string
	Parameters     map[string][]string
	Functions      [][5]string // as the fields of described
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
