package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheVendoredFilesAreUnchanged compares them with the checksums in the README.md beside them.
func TestTheVendoredFilesAreUnchanged(t *testing.T) {
	folder := filepath.Join("page", "vendor")
	text, err := os.ReadFile(filepath.Join(folder, "README.md"))
	require.NoError(t, err)
	listed := map[string]string{}
	line := regexp.MustCompile("\\| `(\\S+)` \\| `([0-9a-f]{64})` \\|")
	for _, m := range line.FindAllStringSubmatch(string(text), -1) {
		listed[m[1]] = m[2]
	}
	require.Contains(t, listed, "uPlot.LICENSE")
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, file := range files {
		if file.Name() == "README.md" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, file.Name()))
		require.NoError(t, err)
		sum := sha256.Sum256(content)
		assert.Equal(t, listed[file.Name()], hex.EncodeToString(sum[:]), file.Name())
		delete(listed, file.Name())
	}
	assert.Empty(t, listed, "files that are not there")
}
