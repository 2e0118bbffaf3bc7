package dashboard

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"datablock"
)

// TestPageShowsABlockAsWhatItIs: stopped, damaged, truncated, replaced, removed.
func TestPageShowsABlockAsWhatItIs(t *testing.T) {
	dir := blocksDirectory(t)
	stream := func(name string) *os.Process {
		return start(t, role{Directory: dir, Block: name, Does: "stream", Every: 10 * time.Millisecond}).Process
	}
	stopping := stream("stopping")
	for _, name := range []string{"damaged", "truncated", "replaced", "removed"} {
		p, err := datablock.OpenProducer(name, config(dir))
		require.NoError(t, err)
		_, err = p.Write([]byte("message"), 0)
		require.NoError(t, err)
		require.NoError(t, p.Close())
	}
	s := serve(t, Options{Directory: dir})
	b := open(t, s.base)
	state := func(name, text string) {
		t.Helper()
		b.becomes(fmt.Sprintf(`((row) => (row.parts.state.textContent + row.parts.problem.textContent).includes(%q))`,
			text) + "(" + rowOf(name) + ")")
	}
	state("stopping", "running")
	state("removed", "closed by its producer")
	require.NoError(t, stopping.Signal(syscall.SIGSTOP))
	defer func() { _ = stopping.Signal(syscall.SIGCONT) }()
	f, err := os.OpenFile(filepath.Join(dir, "damaged"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte{0xff}, 70)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(filepath.Join(dir, "truncated"), 100))
	require.NoError(t, datablock.Unlink("removed", dir, 0))
	replacing := config(dir)
	replacing.Flags |= datablock.Replace
	replacing.SlotSize = 128
	p, err := datablock.OpenProducer("replaced", replacing)
	require.NoError(t, err)
	defer p.Close()
	state("stopping", "the producer is stopped")
	state("damaged", "the header does not match its hash")
	state("truncated", "damaged")
	state("removed", "removed")
	state("replaced", "replaced another block")
	b.picture("problems")
	b.do(chromedp.Navigate(s.base + "/#/block/truncated"))
	b.becomes(`document.querySelector("[role=alert]").textContent.includes("truncated")`)
	b.do(chromedp.Navigate(s.base + "/#/block/removed"))
	b.becomes(`document.querySelector("main .mark").textContent.includes("no block of this name")`)
	b.quiet()
}
