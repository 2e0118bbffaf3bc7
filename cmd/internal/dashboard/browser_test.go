package dashboard

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browser is a tab of a headless Chromium. A line in its console fails the test.
type browser struct {
	context.Context
	t     testing.TB
	mu    sync.Mutex
	lines []string
}

func open(t testing.TB, address string) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("NOT SHOWN: the page in a browser: there is no chromium (make setup DOCS=1 installs it)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program),
		chromedp.WindowSize(1360, 900), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it has no sandbox for root
	}
	ctx, end := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(end)
	ctx, end = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx)
	t.Cleanup(end)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	b := &browser{Context: ctx, t: t}
	messages := chromedp.Console(ctx)
	b.do(chromedp.Navigate(address))
	go func() {
		for message, err := range messages {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.lines = append(b.lines, message.String()+" "+message.URL)
			b.mu.Unlock()
		}
	}()
	return b
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b, actions...))
}

// value is the value of an expression in the page, as text.
func (b *browser) value(expression string) string {
	b.t.Helper()
	text, err := chromedp.Run(b, chromedp.Evaluate[string]("String("+expression+")"))
	require.NoError(b.t, err, expression)
	return text
}

// becomes waits until an expression in the page is true. Before the page has what the expression
// reads, it is not.
func (b *browser) becomes(expression string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for b.value("(() => { try { return Boolean("+expression+"); } catch { return false; } })()") != "true" {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s does not become true; the page says:\n%s\n%s", expression,
				b.value("document.body.innerText"), strings.Join(b.said(), "\n"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *browser) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.lines...)
}

// quiet fails if the page has reported an error, other than those that have one of the texts.
func (b *browser) quiet(expected ...string) {
	b.t.Helper()
lines:
	for _, line := range b.said() {
		for _, text := range expected {
			if strings.Contains(line, text) {
				continue lines
			}
		}
		b.t.Errorf("the console of the page says: %s", line)
	}
}

// shortcut presses a key that the page answers. (KeyEvent would type its character as well,
// although the page prevents that.)
func (b *browser) shortcut(key string) {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown,
		input.DispatchKeyEventTypeKeyUp} {
		_, err := chromedp.Call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: key})
		require.NoError(b.t, err)
	}
}

// key presses keys.
func (b *browser) key(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// picture stores a picture of the page in the build, for the documents.
func (b *browser) picture(name string) {
	b.t.Helper()
	folder := filepath.Join(os.Getenv("DATABLOCK_BUILD"), "pictures")
	if os.Getenv("DATABLOCK_BUILD") == "" {
		folder = b.t.TempDir()
	}
	require.NoError(b.t, os.MkdirAll(folder, 0o755))
	content, err := chromedp.Run(b, chromedp.FullScreenshot(100))
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(folder, name+".png"), content, 0o644))
}

// scheme chooses the light or the dark colours.
func (b *browser) scheme(name string) {
	b.t.Helper()
	_, err := chromedp.Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
	require.NoError(b.t, err)
}
