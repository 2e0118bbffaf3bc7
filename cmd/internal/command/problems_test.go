package command

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAListSaysWhatIsWrong: the exit code, the text and the JSON of list agree with validate.
func TestAListSaysWhatIsWrong(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, file string) (called string){
		"x": func(t *testing.T, file string) string {
			require.NoError(t, os.Truncate(file, 9000))
			return "has 9000 bytes, the header says"
		},
		"renamed": func(t *testing.T, file string) string {
			require.NoError(t, os.Rename(file, strings.TrimSuffix(file, "x")+"renamed"))
			return `holds the block "x": it was renamed: give it its name back`
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, p, c := scene(t)
			require.NoError(t, c.Close())
			require.NoError(t, p.Close())
			says := damage(t, dir+"/x")
			code, out, errOut := admin("list", "--directory", dir)
			assert.Equal(t, exitProblems, code, errOut)
			assert.Regexp(t, `(?m)^`+name+` +UNREADABLE( +-){7}$`, out, "no figure is known")
			assert.Regexp(t, `(?m)^`+name+`: `, out)
			code, validated, _ := admin("validate", name, "--directory", dir)
			assert.Equal(t, exitProblems, code)
			said := strings.TrimPrefix(strings.SplitN(validated, "\n", 2)[0], "header: ")
			assert.Contains(t, said, says)
			assert.Contains(t, out, said)

			code, out, _ = admin("list", "--directory", dir, "--json")
			assert.Equal(t, exitProblems, code)
			var all []blockJSON
			require.NoError(t, json.Unmarshal([]byte(out), &all))
			require.Len(t, all, 1)
			assert.Equal(t, "UNREADABLE", all[0].State)
			assert.Contains(t, all[0].Problem, says)
		})
	}
}

// TestEveryCommandSaysWhereARenamedBlockIs, under its old name and its new one.
func TestEveryCommandSaysWhereARenamedBlockIs(t *testing.T) {
	dir, p, c := scene(t)
	require.NoError(t, c.Close())
	require.NoError(t, p.Close())
	require.NoError(t, os.Rename(dir+"/x", dir+"/old"))
	for _, command := range []string{"validate", "diagnose", "status", "history", "auto-recover", "schema show"} {
		for name, says := range map[string]string{
			"x":   "its data file has the name old: give it its name back",
			"old": "it was renamed: give it its name back",
		} {
			if command == "schema show" {
				name = "block:" + name
			}
			code, out, errOut := admin(append(strings.Fields(command), name, "--directory", dir)...)
			if command == "auto-recover" && name == "old" {
				assert.Contains(t, errOut, "say --yes")
				continue
			}
			assert.NotEqual(t, exitOK, code, "%s %s", command, name)
			assert.Contains(t, out+errOut, says, "%s %s", command, name)
		}
	}
}

// TestNobodyIsAskedAboutWhatIsNotThere: first the arguments, then whether the block is there, and
// then the consent.
func TestNobodyIsAskedAboutWhatIsNotThere(t *testing.T) {
	dir, p, c := scene(t)
	wrong := map[string][]string{
		"force-reset-slot": {"--slot", "1000"}, "evict": {"--row", "77"}, "force-reset-all": {"bad/name"},
		"auto-recover": {"--stuck-after", "-1s"}, "validate": {"bad/name"},
	}
	needs := map[string][]string{"force-reset-slot": {"--slot", "0"}, "evict": {"--row", "1"}, "validate": {"--repair"}}
	asking := 0
	for _, cmd := range commands((&app{}).root()) {
		if cmd.Flags().Lookup("yes") == nil {
			continue
		}
		asking++
		typed := append(path(cmd), "--directory", dir)
		code, _, errOut := admin(append(append(typed, "absent"), needs[cmd.Name()]...)...)
		assert.Equal(t, exitMissing, code, "%s: %s", cmd.Name(), errOut)
		assert.Contains(t, errOut, `no block "absent"`, cmd.Name())
		require.Contains(t, wrong, cmd.Name())
		mistake := append(slices.Clone(wrong[cmd.Name()]), needs[cmd.Name()]...)
		if !strings.Contains(mistake[0], "/") {
			mistake = append(slices.Clone(wrong[cmd.Name()]), "x")
		}
		code, _, errOut = admin(append(typed, mistake...)...)
		assert.Equal(t, exitUsage, code, "%s: %s", cmd.Name(), errOut)
		assert.NotContains(t, errOut, "--yes", cmd.Name())
		if cmd.Name() != "validate" { // asks only where there is something to repair
			code, _, errOut = admin(append(append(typed, "x"), needs[cmd.Name()]...)...)
			assert.Equal(t, exitUsage, code)
			assert.Contains(t, errOut, "say --yes", cmd.Name())
		}
	}
	assert.Equal(t, 5, asking)
	require.NoError(t, c.Close())
	require.NoError(t, p.Close())
}
