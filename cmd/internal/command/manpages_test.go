package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// commands returns all commands, including the root and the hidden ones.
func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		all = append(all, commands(c)...)
	}
	return all
}

func generated(t *testing.T) (dir string, content map[string]string) {
	t.Helper()
	dir, content = t.TempDir(), map[string]string{}
	code, out, errOut := admin("generate", dir, "--release", "1.2.3")
	require.Equal(t, exitOK, code, errOut)
	require.Empty(t, out)
	for _, pattern := range []string{"man1/*", "completions/*"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			name, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			content[name] = string(text)
		}
	}
	return dir, content
}

func TestEveryCommandHasAManPage(t *testing.T) {
	dir, content := generated(t)
	pages := 0
	for _, cmd := range commands((&app{}).root()) {
		if cmd.Name() == "help" || cmd.Hidden {
			continue
		}
		pages++
		page := content["man1/"+strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"]
		for _, text := range []string{cmd.Short, ".SH OPTIONS\n", ".SH EXIT STATUS\n.TP\n0\nhealthy or done\n",
			".SH EXAMPLE\n.EX\n" + cmd.Example, `1 "" "DataBlock 1.2.3"`} {
			assert.Contains(t, page, text, cmd.CommandPath())
		}
		assert.NotContains(t, page, "Exit codes:")
	}
	assert.Len(t, content, pages+len(shells), "and nothing else")

	for _, checker := range [][]string{{"mandoc", "-T", "lint", "-W", "warning"}, {"man", "--warnings", "-l"}} {
		t.Run(checker[0], func(t *testing.T) {
			path, err := exec.LookPath(checker[0])
			if err != nil {
				t.Skipf("NOT SHOWN: that %s finds nothing wrong: %v", checker[0], err)
			}
			for name := range content {
				if !strings.HasPrefix(name, "man1/") {
					continue
				}
				c := exec.Command(path, append(checker[1:len(checker):len(checker)], filepath.Join(dir, name))...)
				c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANPAGER=cat")
				var said strings.Builder
				c.Stderr = &said
				out, err := c.Output()
				if checker[0] == "mandoc" {
					for line := range strings.Lines(string(out)) {
						// on purpose: the same program writes the same page
						assert.Contains(t, line, "missing date", name)
					}
					continue
				}
				assert.NoError(t, err)
				assert.Contains(t, string(out), "EXIT STATUS")
				assert.Empty(t, said.String(), name)
			}
		})
	}
}

func TestTheSameProgramGeneratesTheSame(t *testing.T) {
	_, one := generated(t)
	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	_, other := generated(t)
	assert.Equal(t, one, other)
}

func TestNothingOfTheProgramIsInTheLibrary(t *testing.T) {
	out, err := exec.Command("go", "list", "-buildvcs=false", "-deps", "datablock/capi").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "datablock/internal/core/channel\n")
	for _, package_ := range []string{"cobra", "md2man", "pflag", "datablock-admin"} {
		assert.NotContains(t, string(out), package_)
	}
}
