package platform

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

func TestAHandleThatTheProgramClosedIsNotUsed(t *testing.T) {
	path := lockFile(t)
	l := openLocks(t, path, true)
	ok, err := l.TryLock(10)
	require.True(t, ok)
	require.NoError(t, err)
	require.NoError(t, l.Check())
	require.NoError(t, windows.CloseHandle(windows.Handle(l.Number())))
	_, err = l.TryLock(11)
	assert.True(t, lostDescriptor(err), err)
	_, err = l.Held(10, 1)
	assert.True(t, lostDescriptor(err), err)
	assert.True(t, lostDescriptor(l.Check()))
	second := openLocks(t, path, true) // gets the same value, and leads to the same file
	ok, err = second.TryLock(10)
	require.True(t, ok)
	require.NoError(t, err)
	assert.True(t, lostDescriptor(l.Check()))
	l.Close()
	require.NoError(t, second.Check(), "the handle of another is left to it")
	held, err := openLocks(t, path, false).Held(10, 1)
	require.NoError(t, err)
	assert.True(t, held)
}

func mapped(t *testing.T, path string, size int64, write bool) []byte {
	f, err := OpenFile(path, write)
	require.NoError(t, err)
	defer f.Close()
	m, err := f.Map(size, write, false)
	require.NoError(t, err)
	return m
}

func reservedFile(t *testing.T, size int64) string {
	path := filepath.Join(t.TempDir(), "file")
	f, err := CreateFile(path, 0o600)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Reserve(size))
	return path
}

func TestAMappedFileKeepsItsSize(t *testing.T) {
	path := reservedFile(t, 8192)
	m := mapped(t, path, 8192, true)
	f, err := OpenFile(path, true)
	require.NoError(t, err)
	defer f.Close()
	err = f.Cut(100)
	assert.ErrorIs(t, err, windows.ERROR_USER_MAPPED_FILE)
	assert.ErrorContains(t, err, "end the programs that have the block open")
	assert.ErrorIs(t, os.Truncate(path, 0), windows.ERROR_USER_MAPPED_FILE, "another program cannot do it either")
	m[8191] = 1
	Unmap(m)
	require.NoError(t, f.Cut(100))
	info, err := f.Stat()
	require.NoError(t, err)
	assert.EqualValues(t, 100, info.Size)
}

func TestNoMappingIsLargerThanItsFile(t *testing.T) {
	f, err := OpenFile(reservedFile(t, 4096), true)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.Map(8192, true, false)
	assert.Error(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	assert.EqualValues(t, 4096, info.Size, "the system would have made the file larger")
}

func TestNamesThatWindowsCannotHaveAreRefused(t *testing.T) {
	for _, name := range []string{"CON", "nul", "Com1", "LPT9", "aux.txt", "nul.a.b", "x.", "x ", "a:b", "a*", "a?",
		"a<b", "a>b", `a"b`, "a|b", "a\x01b", `a\b`, "a/b", "CONIN$", "prn .x"} {
		assert.NotEmpty(t, FileNameRefused(name), name)
	}
	for _, name := range []string{"x", "CONX", "COM", "COM10", "x.con", "lpt", "a.b", "a-b_c", "NULL", ".x"} {
		assert.Empty(t, FileNameRefused(name), name)
	}
	dir := t.TempDir()
	_, err := CreateFile(filepath.Join(dir, "nul"), 0o600)
	assert.ErrorContains(t, err, "is the name of a device")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o600))
	assert.ErrorContains(t, Publish(filepath.Join(dir, "a"), filepath.Join(dir, "b.")), "ends in a dot")
	assert.FileExists(t, filepath.Join(dir, "a"))
	assert.True(t, SameFileName("Block", "bLOCK"))
	assert.False(t, SameFileName("Block", "Block2"))
}

func TestLongPathsAreUsed(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		dir = filepath.Join(dir, strings.Repeat("d", 100))
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	path := filepath.Join(dir, strings.Repeat("n", 200))
	f, err := CreateFile(path, 0o600)
	require.NoError(t, err)
	f.Close()
	require.NoError(t, Publish(path, path+"2"))
	found, err := ReadDirectory(dir)
	require.NoError(t, err)
	assert.Equal(t, []Entry{{filepath.Base(path) + "2", true}}, found)
	require.NoError(t, Remove(path+"2"))
}

func TestDirectoriesAndMissingFilesAreNoBlocks(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenFile(dir, true)
	assert.ErrorIs(t, err, ErrNotRegular)
	_, err = OpenFile(filepath.Join(dir, "missing"), false)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = CreateFile(filepath.Join(dir, "missing", "x"), 0o600)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = ReadDirectory(filepath.Join(dir, "missing"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o600))
	_, err = CreateFile(filepath.Join(dir, "X"), 0o600)
	assert.ErrorIs(t, err, fs.ErrExist, "case does not count")
	_, err = ReadDirectory(filepath.Join(dir, "x"))
	assert.ErrorIs(t, err, windows.ERROR_DIRECTORY)
}

// TestAModeBecomesAnAccessList: Wine keeps a part of the list as a mode of Linux. It has no place
// for the group, does not let everyone write, and applies the umask.
func TestAModeBecomesAnAccessList(t *testing.T) {
	for _, mode := range []uint32{0o600, 0o640, 0o660, 0o644, 0o664, 0o666} {
		f, err := CreateFile(filepath.Join(t.TempDir(), "file"), mode)
		require.NoError(t, err)
		info, err := f.Stat()
		f.Close()
		require.NoError(t, err)
		assert.EqualValues(t, 0o600, info.Mode&0o700, "the owner may read and write")
		assert.Zero(t, info.Mode&^mode, "mode 0%o reads back as 0%o", mode, info.Mode)
		assert.Equal(t, EffectiveUID(), info.UID)
	}
	assert.NotZero(t, EffectiveUID())
	own, err := account()
	require.NoError(t, err)
	access, err := fileSecurity(own, 0o640)
	require.NoError(t, err)
	text := access.SecurityDescriptor.String()
	assert.Contains(t, text, "O:"+own.user.String())
	assert.Contains(t, text, "D:P", "nothing is inherited from the directory")
	assert.NotContains(t, text, ";WD)", "others have no right")
	access, err = fileSecurity(own, 0o604)
	require.NoError(t, err)
	assert.Contains(t, access.SecurityDescriptor.String(), "FR;;;WD)")
}

// TestAModeReadsBackForEveryOwner has accounts of which one of two classes, or one of the entries
// that every file has, is the other. No file is made: this user may not make files of others.
func TestAModeReadsBackForEveryOwner(t *testing.T) {
	sid := func(text string) *windows.SID {
		sid, err := windows.StringToSid(text)
		require.NoError(t, err)
		return sid
	}
	const user, group, system, administrators = "S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-513", "S-1-5-18", "S-1-5-32-544"
	for name, of := range map[string]accounts{
		"user":             {sid(user), sid(group)},
		"user in no group": {sid(user), sid(user)},
		"system":           {sid(system), sid(system)},
		"group of system":  {sid(user), sid(system)},
		"administrators":   {sid(administrators), sid(group)},
	} {
		for _, mode := range []uint32{0o600, 0o400, 0o640, 0o660, 0o644, 0o666} {
			access, err := fileSecurity(of, mode)
			require.NoError(t, err)
			list, _, err := access.SecurityDescriptor.DACL()
			require.NoError(t, err)
			want := mode
			if of.group.Equals(of.user) {
				want &^= 0o070
			}
			assert.Equal(t, want, of.modeOf(list), "%s, mode 0%o: %s", name, mode, access.SecurityDescriptor)
			events, err := eventSecurity(of, mode)
			require.NoError(t, err)
			entries := 3 // of the system, administrators, and the owner
			for _, class := range []uint32{want & 0o070, want & 0o007} {
				if class != 0 {
					entries++
				}
			}
			text := events.SecurityDescriptor.String()
			assert.Equal(t, entries, strings.Count(text, "(A;"), text)
		}
	}
}

func TestARemovedFileGoesWithItsLastMapping(t *testing.T) {
	path := reservedFile(t, 8192)
	m, again := mapped(t, path, 8192, true), mapped(t, path, 8192, false)
	require.NoError(t, Remove(path))
	assert.ErrorIs(t, Remove(path), fs.ErrNotExist)
	_, err := StatPath(path)
	require.ErrorIs(t, err, fs.ErrNotExist, "the name is free at once")
	f, err := CreateFile(path, 0o600)
	require.NoError(t, err)
	f.Close()
	m[0] = 7
	assert.EqualValues(t, 7, again[0], "the mappings last")
	names, err := ReadDirectory(filepath.Dir(path))
	require.NoError(t, err)
	assert.Equal(t, []Entry{{"file", true}}, names)
	Unmap(m)
	Unmap(again)
	all, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, all, 1, "nothing of the removed file is left: %v", all)
}

// TestTrashOfTheDeadIsRemoved when a process lists the directory, or unmaps a file of it.
func TestTrashOfTheDeadIsRemoved(t *testing.T) {
	path := reservedFile(t, 4096)
	dir := filepath.Dir(path)
	left := func() int {
		all, err := os.ReadDir(dir)
		require.NoError(t, err)
		return len(all)
	}
	m := mapped(t, path, 4096, false)
	require.NoError(t, os.WriteFile(filepath.Join(dir, trashPrefix+"1"), nil, 0o600))
	require.Equal(t, 2, left())
	Unmap(m)
	assert.Equal(t, 1, left())
	require.NoError(t, os.WriteFile(filepath.Join(dir, trashPrefix+"1"), nil, 0o600))
	names, err := ReadDirectory(dir)
	require.NoError(t, err)
	assert.Equal(t, []Entry{{"file", true}}, names)
	assert.Equal(t, 1, left())
}

func TestSelfKnowsTheProcess(t *testing.T) {
	me := Self()
	assert.EqualValues(t, os.Getpid(), me.PID)
	assert.NotZero(t, me.StartTime)
	assert.NotZero(t, me.PIDNamespace)
	assert.Equal(t, strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"), me.Name)
	assert.True(t, ProcessAlive(me.PID))
	assert.False(t, Ended(me))
	for _, pid := range []uint64{0, 1 << 40, me.PID + 1, me.PID + 3} {
		assert.False(t, ProcessAlive(pid), pid)
	}
}

func TestAnEndedProcessIsKnownByItsCreation(t *testing.T) {
	if os.Getenv("PLATFORM_TEST_IDENTITY") != "" { // the child: say who it is, wait for the end of the input
		me := Self()
		_, _ = fmt.Fprintln(os.Stdout, me.StartTime, Monotonic())
		_, _ = os.Stdin.Read(make([]byte, 1))
		return
	}
	child := exec.Command(os.Args[0], "-test.run=TestAnEndedProcessIsKnownByItsCreation")
	child.Env = append(os.Environ(), "PLATFORM_TEST_IDENTITY=1")
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	in, err := child.StdinPipe()
	require.NoError(t, err)
	before := Monotonic()
	require.NoError(t, child.Start())
	said := make([]byte, 200)
	n, err := out.Read(said)
	require.NoError(t, err)
	after := Monotonic()
	words := strings.Fields(string(said[:n]))
	require.Len(t, words, 2)
	start, err := strconv.ParseUint(words[0], 10, 64)
	require.NoError(t, err)
	clock, err := strconv.ParseUint(words[1], 10, 64)
	require.NoError(t, err)
	assert.True(t, before <= clock && clock <= after, "all processes have one clock: %d, %d, %d", before, clock, after)
	who := Identity{PID: uint64(child.Process.Pid), StartTime: start, PIDNamespace: PIDNamespace()}
	assert.False(t, Ended(who))
	reused := who
	reused.StartTime--
	assert.True(t, Ended(reused), "another process has the pid")
	reused.PIDNamespace++
	assert.False(t, Ended(reused), "of another start of the system")
	require.NoError(t, in.Close())
	require.Eventually(t, func() bool { return !ProcessAlive(who.PID) }, deadline, time.Millisecond,
		"while this process has a handle of it")
	assert.True(t, Ended(who))
	require.NoError(t, child.Wait())
	assert.False(t, ProcessAlive(who.PID))
}

func TestNanosecondsDoNotOverflow(t *testing.T) {
	for _, each := range [][3]uint64{{0, 10_000_000, 0}, {1, 10_000_000, 100},
		{3, 3_000_000_000, 1}, {3_579_545 * 1000, 3_579_545, 1_000_000_000_000}, {1 << 63, 1_000_000_000, 1 << 63}} {
		assert.Equal(t, each[2], nanoseconds(each[0], each[1]), each)
	}
	assert.EqualValues(t, 100*365*24*3600*1_000_000_000, nanoseconds(100*365*24*3600*10_000_000, 10_000_000))
}

func TestSleepsAreNoShorterThanAsked(t *testing.T) {
	for _, d := range []time.Duration{-1, 0, time.Microsecond, time.Millisecond, 3 * time.Millisecond, shortSleep + 1} {
		begun := Monotonic()
		Sleep(d)
		assert.GreaterOrEqual(t, int64(Monotonic()-begun), int64(d))
	}
	assert.EqualValues(t, 1, milliseconds(time.Nanosecond))
	assert.EqualValues(t, 2, milliseconds(1001*time.Microsecond))
	assert.EqualValues(t, 0, milliseconds(-time.Second))
	assert.EqualValues(t, 1<<30, milliseconds(1<<62))
}

func TestTheDefaultDirectoryIsMadeWhenItIsUsed(t *testing.T) {
	require.True(t, filepath.IsAbs(DefaultDirectory), DefaultDirectory)
	PrepareDirectory(filepath.Join(t.TempDir(), "another"))
	PrepareDirectory(DefaultDirectory)
	assert.DirExists(t, DefaultDirectory)
	found, err := ReadDirectory(DefaultDirectory)
	require.NoError(t, err)
	assert.Empty(t, found, "%s is in the prefix of the tests", DefaultDirectory)
}

func TestTheFoldersOfEarlierStartsAreRemovedUnlessUsed(t *testing.T) {
	parent := t.TempDir()
	now := filepath.Join(parent, "boot-7")
	for _, folder := range []string{"boot-5", "boot-6", "boot-7", "start-1", "another"} {
		require.NoError(t, os.Mkdir(filepath.Join(parent, folder), 0o700))
		for _, file := range []string{"x", "x.0.ctl"} {
			f, err := CreateFile(filepath.Join(parent, folder, file), 0o600)
			require.NoError(t, err)
			f.Close()
		}
	}
	participant := openLocks(t, filepath.Join(parent, "boot-6", "x.0.ctl"), true)
	left := func() (found []string) {
		all, err := os.ReadDir(parent)
		require.NoError(t, err)
		for _, each := range all {
			found = append(found, each.Name())
		}
		return found
	}
	removeEarlier(now)
	assert.Equal(t, []string{"another", "boot-6", "boot-7", "start-1"}, left(), "start-1 may be this start")
	names, err := ReadDirectory(filepath.Join(parent, "boot-6"))
	require.NoError(t, err)
	assert.Len(t, names, 2, "it is in use")
	participant.Close()
	removeEarlier(now)
	assert.Equal(t, []string{"another", "boot-7", "start-1"}, left())
}

func TestRandomBytesDiffer(t *testing.T) {
	var a, b [16]byte
	require.NoError(t, Random(a[:]))
	require.NoError(t, Random(b[:]))
	require.NoError(t, Random(nil))
	assert.NotEqual(t, a, b)
}
