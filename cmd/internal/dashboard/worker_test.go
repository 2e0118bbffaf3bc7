package dashboard

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"datablock"
)

// asWorker makes the test program a participant of a block, in a process of its own.
const asWorker = "DATABLOCK_TEST_WORKER"

// role is what a worker does.
type role struct {
	Directory, Block string
	Does             string // stream, claim, die-claiming, follow, hold, rest
	Name             []byte // of the consumer
	Durable          bool
	Every            time.Duration // between two messages
}

const sample = "schema Sample 1.2.0 {\n    number: u64;\n    temperature: f64;\n    pose: f32[2];\n}\n"

func TestMain(m *testing.M) {
	if text := os.Getenv(asWorker); text != "" {
		if err := work(text); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// work plays a role until the process is killed, or its input ends.
func work(text string) error {
	var r role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	go func() { // the test program has ended, however
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	if r.Does == "stream" || r.Does == "claim" {
		return r.produce()
	}
	return r.consume()
}

func config(directory string) datablock.Config {
	c := datablock.DefaultConfig(datablock.Ring)
	c.Directory, c.SlotCount, c.SlotSize, c.ConsumerLimit = directory, 8, 64, 8
	return c
}

func (r *role) produce() error {
	c := config(r.Directory)
	schema, err := datablock.ParseSchema(sample)
	if err != nil {
		return err
	}
	c.Schema = schema
	p, err := datablock.OpenProducer(r.Block, c)
	if err != nil {
		return err
	}
	message := make([]byte, schema.Size)
	for n := uint64(0); ; n++ {
		binary.LittleEndian.PutUint64(message, n)
		binary.LittleEndian.PutUint64(message[8:], math.Float64bits(20.5))
		if _, err := p.Write(message, datablock.Forever); err != nil {
			return err
		}
		if n == 3 && r.Does == "claim" {
			if _, err := p.Claim(datablock.Forever); err != nil {
				return err
			}
			fmt.Println("ready")
			select {}
		}
		if n == 3 {
			fmt.Println("ready")
		}
		time.Sleep(r.Every)
	}
}

func (r *role) consume() error {
	delivery := datablock.Latest
	if r.Does == "follow" || r.Durable {
		delivery = datablock.Lossless
	}
	c, err := datablock.OpenConsumer(r.Block, datablock.ConsumerOptions{Directory: r.Directory, Name: string(r.Name),
		Delivery: delivery, Durable: r.Durable})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		slot, err := c.Next(datablock.Forever)
		if err != nil {
			return err
		}
		if r.Does == "hold" {
			fmt.Println("holding")
			select {}
		}
		if err := c.Release(slot); err != nil {
			return err
		}
	}
}

// start starts a worker, and waits until it is ready.
func start(t testing.TB, r role) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(r)
	require.NoError(t, err)
	own, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(own)
	c.Env = append(os.Environ(), asWorker+"="+string(text))
	c.Stderr = os.Stderr
	input, err := c.StdinPipe()
	require.NoError(t, err)
	output, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = input.Close()
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	lines := bufio.NewScanner(output)
	wanted := "ready"
	if r.Does == "hold" {
		wanted = "holding"
	}
	for lines.Scan() {
		if lines.Text() == wanted {
			return c
		}
		if lines.Text() != "ready" {
			t.Fatalf("the worker says %q", lines.Text())
		}
	}
	t.Fatal("the worker ended")
	return nil
}

// kill kills a worker and waits until it is gone.
func kill(t testing.TB, c *exec.Cmd) {
	t.Helper()
	require.NoError(t, c.Process.Kill())
	_ = c.Wait()
}

func blocksDirectory(t testing.TB) string {
	t.Helper()
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "datablock-dashboard-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
