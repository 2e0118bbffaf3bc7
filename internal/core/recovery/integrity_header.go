package recovery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// controlFile is a control file that may be the block's: its name has a block id.
type controlFile struct {
	id   segment.BlockID
	size int64
	head []byte // the immutable header, shorter if the file is
}

// controlFiles returns the control files under the block's name. A damaged header may not show
// which one is the block's own.
func (x *inspection) controlFiles() (found []controlFile, err error) {
	all, err := platform.ReadDirectory(x.Directory)
	if err != nil && !errors.Is(err, fs.ErrPermission) { // a user who may not list the directory may know the names
		return nil, segment.SystemError(err, "block %q", x.BlockName())
	}
	for _, file := range all {
		name, id, temporary, ok := segment.ParseControl(file.Name)
		if !ok || temporary || name != x.Location.Name {
			continue
		}
		f, err := platform.OpenFile(filepath.Join(x.Directory, file.Name), false)
		if err != nil {
			continue // the error is reported where the control file is needed
		}
		if info, err := f.Stat(); err == nil && info.Regular {
			head, _ := firstBytes(f, min(info.Size, layout.ControlHeaderLen))
			found = append(found, controlFile{id, info.Size, head})
		}
		f.Close()
	}
	return found, nil
}

// trustedHeader returns the block's header. Either its bytes match their hash, or the correct bytes
// can be derived and then match the hash. A version error is for a sound header of another format:
// not damage, and nothing that this library could judge.
func (x *inspection) trustedHeader(candidates []controlFile) (*segment.Header, *status.Error) {
	path := x.Location.DataPath()
	if len(x.page) < layout.ImmutableLen {
		x.report(Finding{Part: PartHeader, Slot: NoSlot,
			Problem: fmt.Sprintf("%s is not a DataBlock file, or truncated: it has %d bytes", path, x.dataBytes),
			Advice:  "use another name, or remove it if nobody needs it"})
		return nil, nil
	}
	raw := x.page[:layout.ImmutableLen]
	x.whole = raw
	h, err := segment.DecodeHeader(raw, path)
	if version, ok := err.(*status.Error); ok && version.Code == status.Version && segment.Proven(raw) {
		return nil, version
	}
	if err != nil {
		whole := cachedHeader(raw, x.Location.Name, x.dataBytes, candidates)
		if whole == nil {
			advice := "it cannot be rebuilt from what is left; nothing was changed"
			if binary.LittleEndian.Uint64(raw) == layout.MagicData {
				advice += "; " + x.makeAnew()
			}
			x.report(Finding{Part: PartHeader, Slot: NoSlot, Problem: err.Error(), Advice: advice})
			return nil, nil
		}
		x.whole = whole
		h, _ = segment.DecodeHeader(whole, path)
		at := 0
		for whole[at] == raw[at] {
			at++
		}
		x.report(Finding{PartHeader, 0, NoSlot,
			fmt.Sprintf("%s: the header does not match its hash: byte %d is 0x%02x, and was 0x%02x", path, at, raw[at],
				whole[at]), repairAdvice(x.BlockName()), true})
	}
	if h.Name != x.Location.Name {
		problem, advice := x.Misnamed(h.ID, h.Name)
		x.report(Finding{Part: PartHeader, Slot: NoSlot, Problem: problem, Advice: advice})
		return nil, nil
	}
	minor := binary.LittleEndian.Uint32(raw[layout.HdrMinor:])
	for at := layout.ImmutableLen; at < len(x.page) && minor <= layout.FormatMinor; at++ {
		if x.page[at] != 0 {
			x.report(Finding{PartHeader, 0, NoSlot,
				fmt.Sprintf("%s: reserved byte %d of the header is 0x%02x, and no version writes there", path, at,
					x.page[at]), repairAdvice(x.BlockName()), true})
			break
		}
	}
	return h, nil
}

// sameHash is how many bytes of the stored hash must be right for the hash to be what is damaged:
// 128 bits prove the rest.
const sameHash = 16

// cachedHeader returns the correct immutable header, nil if it cannot be derived. The hash is
// always the proof, and derivation only makes candidates. It covers one flipped bit anywhere,
// together with any damage in what the file's name, the sizes and the control file say as well.
func cachedHeader(raw []byte, name string, size int64, controls []controlFile) []byte {
	key := fmt.Sprintf("%q %q %d %v", raw, name, size, controls)
	if whole, ok := headerCache.Load(key); ok {
		return whole.([]byte)
	}
	whole := reconstructHeader(raw, name, size, controls)
	headerCache.Clear() // only the last result is kept
	headerCache.Store(key, whole)
	return whole
}

// concluded saves the later looks of one repair the search.
var headerCache sync.Map

func reconstructHeader(raw []byte, name string, size int64, controls []controlFile) []byte {
	bases := [][]byte{append([]byte(nil), raw...)}
	for _, c := range controls {
		bases = append(bases, fromRedundantCopies(raw, name, size, c))
	}
	for _, b := range bases {
		if rehashed := tryRehash(b); rehashed != nil {
			if _, err := segment.DecodeHeader(rehashed, name); err == nil {
				return rehashed
			}
		}
	}
	for _, b := range bases {
		if tryBitFlips(b, name) {
			return b
		}
	}
	return nil
}

// tryBitFlips turns one bit back, if the header then matches its hash.
func tryBitFlips(b []byte, what string) bool {
	for at := range 8 * layout.HdrHash {
		b[at/8] ^= 1 << (at % 8)
		if segment.Proven(b) {
			if _, err := segment.DecodeHeader(b, what); err == nil {
				return true
			}
		}
		b[at/8] ^= 1 << (at % 8)
	}
	return false
}

// tryRehash returns the header with the computed hash, if the stored hash differs so little that
// the rest must be right.
func tryRehash(b []byte) []byte {
	sum := blake2b.Sum256(b[:layout.HdrHash])
	same := 0
	for i, c := range sum {
		if b[layout.HdrHash+i] == c {
			same++
		}
	}
	if same < sameHash {
		return nil
	}
	return append(append([]byte(nil), b[:layout.HdrHash]...), sum[:]...)
}

// majorOf returns the version of a header's format: the control file has it too, and the features
// decide it.
func majorOf(raw []byte, c controlFile) uint32 {
	if len(c.head) >= layout.CtlMajor+4 {
		major := binary.LittleEndian.Uint32(c.head[layout.CtlMajor:])
		if major == layout.FormatMajor || major == layout.FormatMajorFeatures {
			return major
		}
	}
	if binary.LittleEndian.Uint32(raw[layout.HdrFeatures:]) != 0 {
		return layout.FormatMajorFeatures
	}
	return layout.FormatMajor
}

// fromRedundantCopies returns the header with everything corrected that is stored elsewhere too: in
// the file's name, in the sizes of the files, and in the control file's name and header.
func fromRedundantCopies(raw []byte, name string, size int64, c controlFile) []byte {
	b := append([]byte(nil), raw...)
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	put64 := func(at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }
	put64(layout.HdrMagic, layout.MagicData)
	put32(layout.HdrMajor, majorOf(b, c))
	put32(layout.HdrMinor, layout.FormatMinor)
	put64(layout.HdrDataSize, uint64(size))
	put64(layout.HdrControlSize, uint64(c.size))
	copy(b[layout.HdrBlockID:], c.id[:])
	put64(layout.HdrSchemaOffset, layout.SchemaRegion)
	put64(layout.HdrRowsOffset, layout.CtlRows)
	if len(c.head) >= layout.CtlConsumerLimit+4 {
		copy(b[layout.HdrConsumerLimit:layout.HdrConsumerLimit+4], c.head[layout.CtlConsumerLimit:])
	}
	put32(layout.HdrNameLen, uint32(len(name)))
	clear(b[layout.HdrName:layout.HdrZoneSchemaLength])
	copy(b[layout.HdrName:], name)
	h := segment.DecodeFields(b)
	if h.Implausible() == "" {
		h.Derive()
		put64(layout.HdrStride, h.Stride)
		put64(layout.HdrRingOffset, h.RingOffset)
		put64(layout.HdrPayloadOffset, h.PayloadOffset)
		put64(layout.HdrFlexOffset, h.FlexOffset)
		put64(layout.HdrLogOffset, h.LogOffset)
	}
	return b
}

// sizesFit judges the sizes and the owner of the two files.
func (x *inspection) sizesFit(controlPath string) bool {
	data := x.Location.DataPath()
	fit := true
	odd := func(problem, advice string) {
		x.report(Finding{Part: PartHeader, Slot: NoSlot, Problem: problem, Advice: advice})
		fit = false
	}
	startAgain := x.makeAnew()
	if short := uint64(x.ctlBytes) < x.ControlSize; short && uint64(x.dataBytes) >= x.DataSize && x.CtlInfo.Regular &&
		x.CtlInfo.UID == x.DataInfo.UID {
		x.controlShort = true
		startAgain = fmt.Sprintf("repair it by force when nobody is attached (datablock-admin validate --shm-name %s "+
			"--repair --force): what stood there, such as durable consumers' places, stays lost", x.BlockName())
	}
	for _, file := range []struct {
		path      string
		has, want uint64
	}{{data, uint64(x.dataBytes), x.DataSize}, {controlPath, uint64(x.ctlBytes), x.ControlSize}} {
		switch {
		case file.has < file.want:
			odd(fmt.Sprintf("%s has %d bytes, the header says %d: it was truncated, and what was there is gone",
				file.path, file.has, file.want), startAgain)
		case file.has > file.want:
			// No participant uses bytes behind the end.
			x.report(Finding{PartHeader, 0, NoSlot, fmt.Sprintf("%s has %d bytes, the header says %d: it was extended",
				file.path, file.has, file.want), repairAdvice(x.BlockName()), true})
		}
	}
	switch {
	case !x.CtlInfo.Regular:
		odd(fmt.Sprintf("%s is not a regular file", controlPath), startAgain)
	case x.CtlInfo.UID != x.DataInfo.UID:
		odd(fmt.Sprintf("%s belongs to uid %d, its data file to uid %d: not made by one producer", controlPath,
			x.CtlInfo.UID, x.DataInfo.UID), "find out who did it, then remove both")
	}
	for _, short := range []bool{uint64(x.dataBytes) < x.DataSize, uint64(x.ctlBytes) < x.ControlSize} {
		fit = fit && !short
	}
	return fit
}

// judgeControlHeader compares the control file's immutable bytes with the correct ones.
func (x *inspection) judgeControlHeader(path string) {
	x.controlHead = append([]byte(nil), x.Ctl[:layout.ControlHeaderLen]...)
	want := x.EncodeControl()
	copy(want[layout.CtlMinor:layout.CtlMinor+4], x.page[layout.HdrMinor:])
	if x.wrong[PartHeader] { // the minor version of a damaged header is not used
		copy(want[layout.CtlMinor:layout.CtlMinor+4], x.controlHead[layout.CtlMinor:])
	}
	for at := range want {
		if x.controlHead[at] != want[at] {
			x.report(Finding{PartHeader, 0, NoSlot,
				fmt.Sprintf("%s: byte %d of the header is 0x%02x, the data file makes it 0x%02x", path, at,
					x.controlHead[at], want[at]), repairAdvice(x.BlockName()), true})
			return
		}
	}
}
