package pulse

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
)

// Start starts a process with a plan, waits until it is ready, and ends it with the test.
func Start(t testing.TB, program string, plan Plan) *exec.Cmd {
	t.Helper()
	c := Command(program, plan)
	input, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	said, err := bufio.NewReader(output).ReadString('\n')
	if err != nil || strings.TrimSpace(said) != "ready" {
		t.Fatalf("the process of plan %+v said %q: %v", plan, said, err)
	}
	return c
}
