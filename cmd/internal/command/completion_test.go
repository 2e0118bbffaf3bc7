package command

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/schema"
)

// offered returns the words that a shell gets, without their descriptions.
func offered(t *testing.T, args ...string) (words []string) {
	t.Helper()
	code, out, _ := admin(append([]string{"__complete"}, args...)...)
	require.Equal(t, exitOK, code)
	for line := range strings.Lines(out) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(word, ":") {
			words = append(words, word)
		}
	}
	return words
}

func TestCompletionOffersWhatIsThere(t *testing.T) {
	dir, p, _ := scene(t)
	s, err := schema.Parse(sampleText)
	require.NoError(t, err)
	config := segment.DefaultConfig(segment.Ring)
	config.Directory, config.Schema = dir, s
	q, err := channel.OpenProducer("y", config)
	require.NoError(t, err)
	defer q.Close()
	claim, err := p.Claim(0)
	require.NoError(t, err)

	for _, command := range []string{"diagnose", "status", "unlink", "evict"} {
		assert.Equal(t, []string{"x", "y"}, offered(t, command, "--directory", dir, "--shm-name", ""), command)
	}
	assert.Equal(t, []string{"x", "y"}, offered(t, "status", "--directory", dir, ""))
	assert.Equal(t, []string{"--row", "x", "y"}, offered(t, "evict", "--directory", dir, ""), "what is still missing")
	assert.Empty(t, offered(t, "status", "--directory", dir, "x", ""), "one is enough")
	_, participants, err := recovery.ReadMetrics("x", dir)
	require.NoError(t, err)
	held := []string{fmt.Sprint(participants[1].Pins[0]), fmt.Sprint(claim.Index())}
	assert.ElementsMatch(t, held, offered(t, "force-reset-slot", "--directory", dir, "--shm-name", "x", "--slot", ""),
		"the reader's and the writer's")
	assert.ElementsMatch(t, held, offered(t, "diagnose", "--directory", dir, "x", "--slot", ""))
	assert.Equal(t, []string{"1"}, offered(t, "evict", "--directory", dir, "--shm-name", "x", "--row", ""))
	assert.Empty(t, offered(t, "evict", "--directory", dir, "--shm-name", "nobody", "--row", ""))
	assert.Equal(t, []string{"block:y"}, offered(t, "schema", "show", "--directory", dir, "--registry", t.TempDir(),
		""))
	assert.Equal(t, []string{"c", "cpp", "go", "python"}, offered(t, "schema", "generate", "--lang", ""))
	assert.Contains(t, offered(t, "help", "schema", ""), "diff")

	code, out, _ := admin("__complete", "evict", "--directory", dir, "--shm-name", "x", "--row", "")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, `"display", pid `)
}

// TestShellsComplete lets each shell complete a block's name with the generated script.
func TestShellsComplete(t *testing.T) {
	dir, _, _ := scene(t)
	config := segment.DefaultConfig(segment.Ring)
	config.SlotSize, config.Directory = 64, dir
	p, err := channel.OpenProducer("warehouse", config)
	require.NoError(t, err)
	defer p.Close()
	made, _ := generated(t)
	scripts, bin := filepath.Join(made, "completions"), t.TempDir()
	require.NoError(t, os.Symlink(os.Args[0], filepath.Join(bin, "datablock-admin")))

	for shell, program := range map[string]string{
		"bash": `source /usr/share/bash-completion/bash_completion
source "$SCRIPTS/datablock-admin.bash"
COMP_WORDS=(datablock-admin status --shm-name ware) COMP_CWORD=3 COMP_LINE="${COMP_WORDS[*]}"
COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
__start_datablock-admin
echo "completed ${COMPREPLY[*]}"`,
		"zsh": `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=; fpath=($SCRIPTS $fpath); autoload -Uz compinit; compinit -u -D; preexec() { print -r "com""pleted ${${(z)1}[4]}" }; echo read""y'
zpty -r z out '*ready*'
zpty -w z $'datablock-admin status --shm-name ware\t'
zpty -r z out '*completed*' && zpty -r z rest $'*\n*'
print -r -- "$out$rest"
zpty -d z`,
		"fish": `source $SCRIPTS/datablock-admin.fish
echo completed (complete -C "datablock-admin status --shm-name ware")`,
	} {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("NOT SHOWN: completion in %s: %v", shell, err)
			}
			if _, err := os.Stat("/usr/share/bash-completion/bash_completion"); err != nil && shell == "bash" {
				t.Skipf("NOT SHOWN: completion in bash, which needs the package bash-completion: %v", err)
			}
			c := exec.Command(path, "-c", program)
			c.Env = append(os.Environ(), "DATABLOCK_TEST_TOOL=1", "DATABLOCK_DIR="+dir, "SCRIPTS="+scripts,
				"PATH="+bin+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
			c.WaitDelay = time.Second
			stop := time.AfterFunc(30*time.Second, func() { _ = c.Process.Kill() })
			defer stop.Stop()
			out, _ := c.CombinedOutput()
			assert.Regexp(t, `completed warehouse\b`, string(out))
		})
	}
}
