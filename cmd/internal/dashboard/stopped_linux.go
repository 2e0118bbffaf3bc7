package dashboard

import (
	"bytes"
	"fmt"
	"os"

	"datablock/internal/core/segment"
)

// stopped reports whether a process is stopped, by SIGSTOP or by a debugger. The answer is false
// where the system does not tell: the pid of another namespace is another process here.
func stopped(pid, namespace uint64) bool {
	if pid == 0 || segment.OtherPIDNamespace(namespace) {
		return false
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	behind := bytes.LastIndex(text, []byte(") ")) // the name may have anything in it
	return behind >= 0 && behind+2 < len(text) && (text[behind+2] == 'T' || text[behind+2] == 't')
}
