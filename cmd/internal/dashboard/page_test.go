package dashboard

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

// cell is the text of a consumer's row on the page of a block.
func cell(name, part string) string {
	const parts = `[...document.getElementById("participants").rows].find((r) => r.cells[1].textContent === %q)`
	return fmt.Sprintf(parts+"?.parts."+part+".textContent", name)
}

func rowOf(block string) string {
	return fmt.Sprintf(`document.querySelector('tr[data-block=%q]')`, block)
}

func TestPageFiguresAndPlotsMove(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "camera", Does: "stream", Every: time.Millisecond})
	start(t, role{Directory: dir, Block: "camera", Does: "follow", Name: []byte("recorder")})
	start(t, role{Directory: dir, Block: "camera", Does: "hold", Name: []byte("viewer")})
	start(t, role{Directory: dir, Block: "lidar", Does: "stream", Every: 4 * time.Millisecond})
	start(t, role{Directory: dir, Block: "lidar", Does: "follow", Name: []byte("mapper")})
	kill(t, start(t, role{Directory: dir, Block: "pose", Does: "claim"}))
	s := serve(t, Options{Directory: dir})
	b := open(t, s.base)
	b.becomes(rowOf("camera") + `.parts.rate.textContent > "0"`)
	b.becomes(`document.getElementById("connection").textContent === "Live"`)
	b.becomes(rowOf("pose") + `.parts.state.textContent.includes("the producer died")`)
	before := b.value(rowOf("camera") + ".parts.rate.textContent")
	b.becomes(rowOf("camera") + fmt.Sprintf(".parts.rate.textContent !== %q", before))
	picture := b.value(rowOf("camera") + ".parts.spark.toDataURL()")
	b.becomes(rowOf("camera") + fmt.Sprintf(".parts.spark.toDataURL() !== %q", picture))
	b.becomes(`document.getElementById("summary").textContent.startsWith("3 blocks · 1 to attend")`)

	b.do(chromedp.Click(chromedp.CSS(`tr[data-block="camera"] a`)))
	b.becomes(`document.title === "camera · DataBlock"`)
	const plot = `document.querySelector('[data-plot="Messages per second"]')`
	b.becomes(plot + `.dataset.points > 20`)
	last := b.value(plot + ".dataset.last")
	drawn := b.value(plot + `.querySelector("canvas").toDataURL()`)
	b.becomes(plot + fmt.Sprintf(`.dataset.last > %q`, last))
	b.becomes(plot + fmt.Sprintf(`.querySelector("canvas").toDataURL() !== %q`, drawn))
	b.becomes(plot + `.getAttribute("aria-label").includes("now ")`)
	number := b.value(`document.getElementById("fact-written").textContent`)
	b.becomes(fmt.Sprintf(`document.getElementById("fact-written").textContent !== %q`, number))
	b.becomes(cell("viewer", "lag") + ` !== "0"`)
	b.becomes(`document.getElementById("newest").textContent.includes("temperature20.5")`)
	b.becomes(`document.querySelector(".slots canvas").getAttribute("aria-label").includes("committed")`)
	b.becomes(plot + `.dataset.points > 60`)
	b.picture("block")
	b.key(kb.Escape)
	b.becomes(rowOf("camera") + `.parts.spark.width > 0`)
	b.picture("overview")
	b.do(chromedp.Click(chromedp.CSS(`tr[data-block="camera"] a`)))
	b.becomes(plot + `.dataset.points > 60`)
	b.scheme("dark")
	b.becomes(`getComputedStyle(document.body).backgroundColor === "rgb(20, 23, 26)"`)
	b.picture("block-dark")
	b.quiet()
}

// TestPageShowsAKilledConsumerAndReleasesIt is what the page is for: the death shows after the next
// reading.
func TestPageShowsAKilledConsumerAndReleasesIt(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "camera", Does: "stream", Every: time.Second})
	viewer := start(t, role{Directory: dir, Block: "camera", Does: "hold", Name: []byte("viewer")})
	s := serve(t, Options{Directory: dir, Interval: time.Second, Actions: true})
	b := open(t, s.base+"/#/block/camera")
	b.becomes(cell("viewer", "state") + ` === "alive"`)
	// The page notes when it shows the death. The clock is that of this machine for both.
	b.value(`(window.died = 0, window.watcher = setInterval(() => {
		if (!window.died && ` + cell("viewer", "state") + ` === "dead") window.died = Date.now();
	}, 10), "")`)
	killed := time.Now()
	kill(t, viewer)
	b.becomes(`window.died > 0`)
	var died int64
	require.NoError(t, json.Unmarshal([]byte(b.value("window.died")), &died))
	t.Logf("shown after %v", time.UnixMilli(died).Sub(killed))
	b.becomes(`document.querySelector("main .mark").textContent.includes("1 dead consumer")`)
	b.picture("dead-consumer")

	b.do(chromedp.Click(chromedp.CSS(`button[data-action="auto-recover"]`)))
	b.becomes(`document.getElementById("token-dialog").open`)
	b.do(chromedp.SendKeys(chromedp.CSS("#token-input"), "not-the-token"+kb.Enter))
	b.becomes(`document.getElementById("token-why").textContent.includes("the token is wrong")`)
	b.do(chromedp.SendKeys(chromedp.CSS("#token-input"), s.GeneratedToken()+kb.Enter))
	b.becomes(`document.getElementById("action-dialog").open`)
	b.becomes(`document.getElementById("action-steps").textContent.includes(
		'release row 1 of the dead consumer "viewer"')`)
	assert.Empty(t, recoveries(t, dir, "camera"), "a dry run changes nothing")
	b.picture("dry-run")
	b.do(chromedp.Click(chromedp.CSS("#action-confirm")))
	b.becomes(`document.getElementById("action-lead").textContent === "This was done:"`)
	assert.Contains(t, recoveries(t, dir, "camera"), "row 1")
	b.do(chromedp.Click(chromedp.CSS("#action-cancel")))
	b.becomes(`!document.getElementById("participants").textContent.includes("viewer")`)
	b.becomes(`[...document.querySelectorAll("main section")].at(-1).textContent.includes("row 1")`)
	b.quiet("401")
}

// TestPageEvictsALivingConsumerByForceOnly: by the button in its row.
func TestPageEvictsALivingConsumerByForceOnly(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "camera", Does: "stream", Every: time.Second})
	start(t, role{Directory: dir, Block: "camera", Does: "hold", Name: []byte("viewer")})
	s := serve(t, Options{Directory: dir, Actions: true})
	b := open(t, s.base+"/#/block/camera")
	b.value(fmt.Sprintf(`(sessionStorage.setItem("datablock-token", %q), "")`, s.GeneratedToken()))
	b.do(chromedp.Reload())
	b.do(chromedp.Click(chromedp.CSS(`button[data-action="evict"]`)))
	b.becomes(`document.getElementById("action-lead").textContent.includes("lives: end that program")`)
	assert.Equal(t, "true", b.value(`document.getElementById("action-confirm").hidden`))
	b.do(chromedp.Click(chromedp.CSS("#action-force")))
	b.becomes(`document.getElementById("action-steps").textContent.includes("ALIVE")`)
	b.key(kb.Escape)
	b.becomes(`!document.getElementById("action-dialog").open`)
	assert.Empty(t, recoveries(t, dir, "camera"))
	b.quiet("409")
}

// TestPageShowsHostileNamesAsText: nothing of them is markup, and control characters can be seen.
func TestPageShowsHostileNamesAsText(t *testing.T) {
	dir := blocksDirectory(t)
	c := config(dir)
	c.ConsumerLimit, c.SlotSize = 32, 0
	schema, err := datablock.ParseSchema("schema Onerror 1.0.0 {\n    script: char[32];\n    constructor: u8;\n}\n")
	require.NoError(t, err)
	c.Schema = schema
	p, err := datablock.OpenProducer("__proto__", c)
	require.NoError(t, err)
	defer p.Close()
	message := make([]byte, 33)
	copy(message, "<img src=x onerror=alert(1)>\n\xff")
	_, err = p.Write(message, 0)
	require.NoError(t, err)
	for _, name := range hostile {
		one, err := datablock.OpenConsumer("__proto__", datablock.ConsumerOptions{Directory: dir, Name: name,
			Start: datablock.StartOldest})
		require.NoError(t, err, "%q", name)
		defer one.Close()
		_, err = one.Next(0)
		require.NoError(t, err)
	}
	s := serve(t, Options{Directory: dir})
	b := open(t, s.base)
	b.becomes(rowOf("__proto__") + `.parts.rate.textContent !== ""`)
	b.do(chromedp.Navigate(s.base + "/#/block/__proto__"))
	b.becomes(fmt.Sprintf(`document.getElementById("participants").rows.length === %d`, len(hostile)+1))
	text := b.value(`document.getElementById("participants").textContent`)
	for _, shown := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `two\nlines`,
		`back\slash "quoted"`, "\uFFFD\uFFFD", `\u{1b}[31m`, `\u{202e}right to left`} {
		assert.Contains(t, text, shown)
	}
	b.becomes(`document.getElementById("newest").textContent.includes("<img src=x onerror=alert(1)>")`)
	b.becomes(`document.querySelector(".slots table").textContent.includes("<script>")`)
	assert.Equal(t, "0", b.value(`document.querySelectorAll("main script, main img, main [onerror]").length`))
	b.picture("hostile")
	b.quiet()
}

// TestPageWorksByKeyboard: from the first Tab to a block and back, without a mouse.
func TestPageWorksByKeyboard(t *testing.T) {
	dir := blocksDirectory(t)
	for _, name := range []string{"camera", "lidar", "pose"} {
		p, err := datablock.OpenProducer(name, config(dir))
		require.NoError(t, err)
		defer p.Close()
	}
	s := serve(t, Options{Directory: dir})
	b := open(t, s.base)
	b.becomes(rowOf("pose"))
	b.key(kb.Tab)
	b.becomes(`document.activeElement.textContent === "Skip to the content"`)
	b.shortcut("/")
	b.becomes(`document.activeElement.id === "filter"`)
	b.key("lid")
	b.becomes(`document.querySelectorAll("tr[data-block]").length === 1`)
	for range 20 {
		b.key(kb.Tab)
		if b.value("document.activeElement.textContent") == "lidar" {
			break
		}
	}
	b.key(kb.Enter)
	b.becomes(`document.title === "lidar · DataBlock" && document.activeElement.id === "content"`)
	b.shortcut("p")
	b.becomes(`document.getElementById("connection").textContent === "Paused"`)
	b.shortcut("p")
	b.becomes(`document.getElementById("connection").textContent === "Live"`)
	b.key(kb.Escape)
	b.becomes(`document.querySelectorAll("tr[data-block]").length === 3`)
	b.shortcut("/")
	b.key("zzz")
	b.becomes(`document.querySelectorAll("tr[data-block]").length === 0 &&
		document.body.innerText.includes("No block has this text")`)
	b.key(kb.Escape)
	b.becomes(`document.querySelectorAll("tr[data-block]").length === 3`)
	b.value(`(document.querySelectorAll("th button")[0].focus(), "")`)
	b.key(kb.Enter)
	b.becomes(`document.querySelector("th[aria-sort=descending]").textContent === "Block" &&
		document.querySelector("tr[data-block]").dataset.block === "pose"`)
	b.quiet()
}

// TestPageNamesEveryElement: what a screen reader gets.
func TestPageNamesEveryElement(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "camera", Does: "stream", Every: time.Second})
	start(t, role{Directory: dir, Block: "camera", Does: "hold", Name: []byte("viewer")})
	s := serve(t, Options{Directory: dir, Actions: true})
	b := open(t, s.base)
	const nameless = `[...document.querySelectorAll("button, a, input, [role=img], table, " +
		"canvas:not([aria-hidden], [role=img] canvas), meter:not([aria-hidden])")]
		.filter((e) => !e.closest("[hidden], dialog:not([open])") && !(e.getAttribute("aria-label") ?? "").trim() &&
			!e.textContent.trim() && !e.querySelector("caption, [alt]")).map((e) => e.outerHTML).join("\n")`
	b.becomes(rowOf("camera"))
	assert.Empty(t, b.value(nameless))
	b.do(chromedp.Navigate(s.base + "/#/block/camera"))
	b.becomes(cell("viewer", "state") + ` === "alive"`)
	b.becomes(`document.querySelector(".slots canvas[role=img]").getAttribute("aria-label").includes("slots:")`)
	assert.Empty(t, b.value(nameless))
	assert.Equal(t, "1", b.value(`document.querySelectorAll("h1").length`))
	assert.Equal(t, "true", b.value(`[...document.querySelectorAll("th")].every((th) => th.scope !== "")`))
	assert.Equal(t, "en", b.value("document.documentElement.lang"))
	b.quiet()
}

// TestPageWatchesTheConnection: the page says that its figures are old, and recovers by itself.
func TestPageWatchesTheConnection(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "camera", Does: "stream", Every: 10 * time.Millisecond})
	s := serve(t, Options{Directory: dir})
	b := open(t, s.base)
	b.becomes(rowOf("camera"))
	s.stop()
	b.becomes(`document.getElementById("connection").textContent.startsWith("No connection")`)
	err := <-s.ended
	s.ended <- err
	require.NoError(t, err)
	again := serve(t, Options{Directory: dir, Listen: strings.TrimPrefix(s.base, "http://")})
	require.Equal(t, s.base, again.base)
	b.becomes(`document.getElementById("connection").textContent === "Live"`)
	b.quiet("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED")
}

// TestPageWithAThousandBlocks: the table is whole, and a key is answered.
func TestPageWithAThousandBlocks(t *testing.T) {
	dir := blocksDirectory(t)
	c := config(dir)
	c.SlotCount, c.ConsumerLimit, c.SpareSlots = 2, 1, 3
	const many = 1000
	for i := range many {
		p, err := datablock.OpenProducer(fmt.Sprintf("block%04d", i), c)
		require.NoError(t, err)
		if i%100 != 0 {
			require.NoError(t, p.Close())
			continue
		}
		defer p.Close()
	}
	s := serve(t, Options{Directory: dir, Interval: time.Second})
	b := open(t, s.base)
	b.becomes(fmt.Sprintf(`document.querySelectorAll("tr[data-block]").length === %d`, many))
	var all blocksJSON
	s.get("/api/v1/blocks", &all)
	t.Logf("a reading of %d blocks takes %.0f ms", len(all.Blocks), all.TookMs)
	b.shortcut("/")
	b.key("block0990")
	b.becomes(`document.querySelectorAll("tr[data-block]").length === 1`)
	b.key(kb.Escape)
	b.becomes(fmt.Sprintf(`document.querySelectorAll("tr[data-block]").length === %d`, many))
	b.value(`(document.querySelectorAll("th button")[1].click(), "")`)
	b.becomes(`document.querySelector("th[aria-sort=descending]").textContent === "State"`)
	b.quiet()
}

// TestThePageLoadsOnlyItsOwnFiles: no script in the page, and no address of another machine.
func TestThePageLoadsOnlyItsOwnFiles(t *testing.T) {
	address := regexp.MustCompile(`https?://[^\s"')]+`)
	files, err := filepath.Glob("page/*.*")
	require.NoError(t, err)
	require.Greater(t, len(files), 8)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range address.FindAllString(string(content), -1) {
			assert.Equal(t, "http://www.w3.org/2000/svg", found, file)
		}
		for _, markup := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
			"style="} {
			assert.NotContains(t, string(content), markup, file)
		}
	}
	page, err := os.ReadFile("page/index.html")
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(page), "<script"))
}
