package platform

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// notInAHost has the functions that the library must not call. Some open descriptors for the poller
// of the Go runtime, or make the runtime open the poller's own. Others read Go's copy of the
// environment, which is as old as the library.
var notInAHost = map[string][]string{
	"os": {"Open", "OpenFile", "OpenInRoot", "OpenRoot", "Create", "CreateTemp", "MkdirTemp", "NewFile", "Pipe",
		"ReadFile", "WriteFile", "ReadDir", "RemoveAll", "CopyFS", "DirFS", "StartProcess",
		"Getenv", "LookupEnv", "Environ", "ExpandEnv", "UserHomeDir", "UserCacheDir", "UserConfigDir", "TempDir"},
	"filepath": {"Glob", "Walk", "WalkDir"},
	"time":     {"Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
	"context":  {"WithTimeout", "WithDeadline", "WithTimeoutCause", "WithDeadlineCause"},
	"rand":     {"Read", "Text"}, // of crypto/rand
}

// allowed has the calls that no C program reaches: C code passes the directories of blocks and
// schemas. Others are for tests alone.
var allowed = []string{
	"internal/core/segment/name.go: os.Getenv",
	"schema/registry.go: os.Getenv",
	"internal/platform/posix.go: os.Getenv",
	"internal/platform/posix.go: os.UserHomeDir",
	"internal/crash/points_on.go: os.Getenv",
	"internal/platform/map_guarded_unsafe.go: os.Getenv",
}

func TestTheLibraryLeavesTheHostsDescriptorsAndEnvironmentAlone(t *testing.T) {
	root := filepath.Join("..", "..")
	var used []string
	for _, part := range []string{"internal", "capi", "schema"} {
		visit := func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (strings.HasPrefix(entry.Name(), "_") || entry.Name() == "testdata" ||
				entry.Name() == "coretest"):
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"), entry.Name() == "unsupported.go":
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(root, path)
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if from, ok := s.X.(*ast.Ident); ok && slices.Contains(notInAHost[from.Name], s.Sel.Name) {
						used = append(used, filepath.ToSlash(name)+": "+from.Name+"."+s.Sel.Name)
					}
				}
				return true
			})
			return nil
		}
		require.NoError(t, filepath.WalkDir(filepath.Join(root, part), visit))
	}
	slices.Sort(used)
	wanted := slices.Sorted(slices.Values(allowed))
	assert.Equal(t, wanted, slices.Compact(used))
}
